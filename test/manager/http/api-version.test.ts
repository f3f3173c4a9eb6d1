import { describe, expect, test } from 'vitest';
import {
  advertisedVersion,
  checkVersion,
  compareVersions,
  enginePath,
  splitVersion,
} from '../../../src/manager/http/api-version.ts';

describe('versions of the API', () => {
  test('compare number by number', () => {
    expect(compareVersions('1.9', '1.41')).toBeLessThan(0);
    expect(compareVersions('1.41', '1.41')).toBe(0);
    expect(compareVersions('2.0', '1.47')).toBeGreaterThan(0);
  });

  test('stand before the path, or do not', () => {
    expect(splitVersion('/v1.41/nodes?a=b')).toEqual({ version: '1.41', path: '/nodes?a=b' });
    expect(splitVersion('/version')).toEqual({ version: undefined, path: '/version' });
  });

  test('outside of what is answered are refused in moby’s words', () => {
    expect(() => {
      checkVersion('1.23');
    }).toThrow(
      'client version 1.23 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version',
    );
    expect(() => {
      checkVersion('1.48');
    }).toThrow('client version 1.48 is too new. Maximum supported API version is 1.47');
  });

  test('a client is told what both this server and the Engine understand', () => {
    expect(advertisedVersion('1.41')).toBe('1.41');
    expect(advertisedVersion('1.51')).toBe('1.47');
    expect(advertisedVersion(undefined)).toBe('1.47');
  });

  test('a path passed on is lowered to what the Engine understands, never raised', () => {
    const path = '/containers/json?all=1';
    expect(enginePath({ version: '1.47', path }, '1.41')).toBe(`/v1.41${path}`);
    expect(enginePath({ version: '1.30', path }, '1.41')).toBe(`/v1.30${path}`);
    expect(enginePath({ version: undefined, path }, '1.41')).toBe(path);
  });
});

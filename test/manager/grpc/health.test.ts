import { describe, expect, test } from 'vitest';
import { localClient } from '../../../src/api/index.ts';
import { Health } from '../../../src/manager/grpc/health.ts';

describe('the health of a manager', () => {
  test('is told by service: what works, what does not, and what there is not', async () => {
    let isServing = false;
    const health = new Health({ Raft: () => isServing });
    const client = localClient({ Health: health }, { kind: 'anyone', remoteIp: '' });
    const options = { signal: new AbortController().signal, deadlineMs: 1_000 };
    const check = async (service: string): Promise<string> =>
      (await client.unary('Health', 'Check', { service }, options)).status;
    expect(await check('')).toBe('SERVING');
    expect(await check('Raft')).toBe('NOT_SERVING');
    isServing = true;
    expect(await check('Raft')).toBe('SERVING');
    for (const unknown of ['Swarm', 'toString']) {
      await expect(check(unknown)).rejects.toThrow(`unknown service ${unknown}`);
    }
  });
});

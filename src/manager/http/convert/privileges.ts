import type { Privileges, PrivilegesInput } from '../../../api/gen/types.ts';
import { SwarmError } from '../../../runtime/index.ts';
import type { JsonObject } from '../json.ts';
import type { Fields } from './fields.ts';
import { bytes, lower, valueOf } from './shapes.ts';

const seccompModes = ['DEFAULT', 'UNCONFINED', 'CUSTOM'] as const;
const appArmorModes = ['DEFAULT', 'DISABLED'] as const;
const credentialSources = ['config', 'file', 'registry'] as const;

const invalid = (message: string): SwarmError => new SwarmError('invalid-argument', message);

/**
 * The privileges of a container spec. Engine API 1.47 `TaskSpec.ContainerSpec.Privileges`
 *
 * @throws SwarmError invalid-argument
 */
export function privilegesFromEngine(privileges: Fields | undefined): PrivilegesInput | null {
  if (privileges === undefined) return null;
  const credentials = privileges.object('CredentialSpec');
  const selinux = privileges.object('SELinuxContext');
  const seccomp = privileges.object('Seccomp');
  const appArmor = privileges.object('AppArmor');
  return {
    credentialSpec: credentials === undefined ? null : credentialSpecFromEngine(credentials),
    selinuxContext:
      selinux === undefined
        ? null
        : {
            disable: selinux.flag('Disable'),
            user: selinux.text('User'),
            role: selinux.text('Role'),
            type: selinux.text('Type'),
            level: selinux.text('Level'),
          },
    seccomp:
      seccomp === undefined
        ? null
        : {
            mode: modeOf(seccompModes, seccomp, 'Seccomp'),
            profile: seccomp.bytes('Profile'),
          },
    apparmor: appArmor === undefined ? null : { mode: modeOf(appArmorModes, appArmor, 'AppArmor') },
    noNewPrivileges: privileges.flag('NoNewPrivileges'),
  };
}

function modeOf<T extends string>(
  modes: readonly (T | 'DEFAULT')[],
  options: Fields,
  what: string,
): T | 'DEFAULT' {
  const written = options.text('Mode');
  const mode = written === '' ? 'DEFAULT' : valueOf(modes, written);
  if (mode === undefined) throw invalid(`invalid ${what} mode: "${written}"`);
  return mode;
}

function credentialSpecFromEngine(
  spec: Fields,
): NonNullable<PrivilegesInput['credentialSpec']> | null {
  const [source, ...others] = credentialSources.filter((name) => spec.text(name) !== '');
  if (source === undefined) {
    throw invalid(
      'invalid CredentialSpec: must either provide "file", "registry", or "config" for credential spec',
    );
  }
  if (others.length === 2) {
    throw invalid(
      'invalid CredentialSpec: cannot specify both "config", "file", and "registry" credential specs',
    );
  }
  if (others.length === 1) {
    throw invalid(
      `invalid CredentialSpec: cannot specify both "${source}" and "${others.join()}" credential specs`,
    );
  }
  return { [source]: spec.text(source) };
}

/** The privileges of a container spec, as the Engine API shows them. */
export function privilegesToEngine(privileges: Privileges): JsonObject {
  const { credentialSpec, selinuxContext, seccomp, apparmor } = privileges;
  return {
    CredentialSpec:
      credentialSpec === null
        ? null
        : {
            Config: credentialSpec.config ?? '',
            File: credentialSpec.file ?? '',
            Registry: credentialSpec.registry ?? '',
          },
    SELinuxContext:
      selinuxContext === null
        ? null
        : {
            Disable: selinuxContext.disable,
            User: selinuxContext.user,
            Role: selinuxContext.role,
            Type: selinuxContext.type,
            Level: selinuxContext.level,
          },
    Seccomp:
      seccomp === null ? undefined : { Mode: lower(seccomp.mode), Profile: bytes(seccomp.profile) },
    AppArmor: apparmor === null ? undefined : { Mode: lower(apparmor.mode) },
    NoNewPrivileges: privileges.noNewPrivileges,
  };
}

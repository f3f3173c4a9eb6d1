import type { ContainerSpec } from '../../../api/index.ts';
import { SwarmError } from '../../../runtime/index.ts';

type Privileges = NonNullable<ContainerSpec['privileges']>;

/**
 * A task's privileges as the security options of its container.
 *
 * @throws SwarmError invalid-argument, if they cannot be granted here
 */
export function securityOptions(privileges: ContainerSpec['privileges']): string[] {
  if (privileges === null) return [];
  return [
    ...credentialOptions(privileges.credentialSpec),
    ...seLinuxOptions(privileges.selinuxContext),
    ...seccompOptions(privileges.seccomp),
    ...(privileges.apparmor?.mode === 'DISABLED' ? ['apparmor=unconfined'] : []),
    ...(privileges.noNewPrivileges ? ['no-new-privileges=true'] : []),
  ];
}

function credentialOptions(spec: Privileges['credentialSpec']): string[] {
  switch (spec?.source) {
    case undefined:
      return [];
    case 'file':
      return [`credentialspec=file://${spec.file ?? ''}`];
    case 'registry':
      return [`credentialspec=registry://${spec.registry ?? ''}`];
    case 'config':
      throw new SwarmError(
        'invalid-argument',
        'a credential spec from a config is not supported by swarmd: use a file',
      );
  }
}

function seLinuxOptions(context: Privileges['selinuxContext']): string[] {
  if (context === null) return [];
  if (context.disable) return ['label=disable'];
  const { user, role, type, level } = context;
  return Object.entries({ user, role, type, level })
    .filter(([, value]) => value !== '')
    .map(([key, value]) => `label=${key}:${value}`);
}

function seccompOptions(seccomp: Privileges['seccomp']): string[] {
  switch (seccomp?.mode) {
    case undefined:
    case 'DEFAULT':
      return [];
    case 'UNCONFINED':
      return ['seccomp=unconfined'];
    case 'CUSTOM':
      return [`seccomp=${seccomp.profile.toString()}`];
  }
}

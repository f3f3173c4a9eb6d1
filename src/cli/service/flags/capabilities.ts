import type { Flags } from '../../command.ts';
import type { ServiceSpec } from '../spec.ts';

/** Stands for every capability: it makes the others of its list superfluous. */
const all = 'ALL';
/** In an update: forgets the list it is given to. */
const reset = 'RESET';

/** `net_admin` as the Engine has it: `CAP_NET_ADMIN`. */
function named(text: string): string {
  const name = text.toUpperCase();
  return name === all || name === reset || name.startsWith('CAP_') ? name : `CAP_${name}`;
}

/** A list as it is sent. */
const listed = (names: ReadonlySet<string>): string[] =>
  names.has(all) ? [all] : [...names].filter((name) => name !== reset).toSorted();

/**
 * Adds and drops the capabilities that `--cap-add` and `--cap-drop` name.
 *
 * What a service has dropped and is now told to add goes back to what it is by default, and the
 * other way round. What is named in both is added. docker/cli command/service/update.go
 */
export function applyCapabilities({ TaskTemplate }: ServiceSpec, flags: Flags): void {
  if (!flags.has('cap-add') && !flags.has('cap-drop')) return;
  const container = TaskTemplate.ContainerSpec;
  const toAdd = new Set(flags.list('cap-add').map(named));
  const toDrop = new Set(flags.list('cap-drop').map(named));
  const added = new Set(toAdd.has(reset) ? [] : container.CapabilityAdd);
  const dropped = new Set(toDrop.has(reset) ? [] : container.CapabilityDrop);
  for (const name of toDrop) {
    if (!toAdd.has(name) && !added.delete(name)) dropped.add(name);
  }
  for (const name of toAdd) {
    if (!dropped.delete(name)) added.add(name);
  }
  container.CapabilityAdd = listed(added);
  container.CapabilityDrop = listed(dropped);
}

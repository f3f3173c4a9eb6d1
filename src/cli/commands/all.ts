import type { Command } from '../command.ts';
import { configCommands, secretCommands } from '../payload/commands.ts';
import { daemonCommands } from './daemons.ts';
import { nodeCommands } from './node.ts';
import { serviceCommands } from './service.ts';
import { swarmCommands } from './swarm.ts';
import { systemCommands } from './system.ts';
import { taskCommands } from './task.ts';
import { toolCommands } from './tools.ts';

/** Every command, in the order in which help shows them. */
export const commands: readonly Command[] = [
  ...daemonCommands,
  ...swarmCommands,
  ...nodeCommands,
  ...serviceCommands,
  ...taskCommands,
  ...secretCommands,
  ...configCommands,
  ...systemCommands,
  ...toolCommands,
];

import { spawnSync } from 'node:child_process';
import { runCommand } from '../support/run-command.ts';

/** Frames that are dropped: all of them, or some of a hundred. */
export interface Block {
  /** The number of the host they come from; from any, if not given. */
  readonly from?: number;
  /** The number of the host they go to; to any, if not given. */
  readonly to?: number;
  /** All, if not given. */
  readonly percent?: number;
}

const prefix = 'chaos-';

/** Why there can be no switch on this machine; undefined if there can. */
export function whyNoSwitch(): string | undefined {
  const { status } = spawnSync('sh', ['-c', 'PATH="$PATH:/usr/sbin:/sbin" command -v nft']);
  return status === 0 ? undefined : 'nft (package nftables) is not installed';
}

async function run(command: string, args: readonly string[], input = ''): Promise<string> {
  const { code, stdout, stderr } = await runCommand(command, args, {
    env: { PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` },
    input,
  });
  if (code !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr}${stdout}`.trim());
  return stdout;
}

/** The ruleset that drops what is blocked. nft's bridge family sees every frame between ports. */
function rulesOf(blocks: readonly Block[]): string {
  const rules = blocks.map(({ from, to, percent }) =>
    [
      ...(from === undefined ? [] : [`iifname "p${from}"`]),
      ...(to === undefined ? [] : [`oifname "p${to}"`]),
      ...(percent === undefined ? [] : [`numgen random mod 100 < ${percent}`]),
      'drop',
    ].join(' '),
  );
  return [
    'table bridge chaos',
    'delete table bridge chaos',
    'table bridge chaos {',
    'chain cuts {',
    'type filter hook forward priority 0; policy accept;',
    ...rules,
    '}',
    '}',
    '',
  ].join('\n');
}

/**
 * A switch that joins network namespaces and can lose what goes between them: a bridge in a network
 * namespace of its own. It goes with that namespace, and so do all links to it.
 */
export class Switch implements AsyncDisposable {
  readonly name: string;
  #blocks: readonly Block[] = [];
  #lastChange: Promise<unknown> = Promise.resolve();

  private constructor(name: string) {
    this.name = name;
  }

  /** Also removes the switches of processes that were killed. */
  static async create(): Promise<Switch> {
    for (const line of (await run('ip', ['netns', 'list'])).split('\n')) {
      const [name = ''] = line.split(' ');
      const owner = Number(new RegExp(`^${prefix}(\\d+)$`, 'u').exec(name)?.[1]);
      if (!Number.isNaN(owner) && !isAlive(owner)) await run('ip', ['netns', 'del', name]);
    }
    const created = new Switch(`${prefix}${process.pid}`);
    await run('ip', ['netns', 'add', created.name]);
    try {
      await created.#inside('ip', ['link', 'add', 'sw', 'type', 'bridge']);
      await created.#inside('ip', ['link', 'set', 'sw', 'up']);
      return created;
    } catch (error) {
      await created[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Plugs a namespace into port `number`. Its end of the link is `lan0`, with that address. */
  async connect(number: number, networkNamespace: string, address: string): Promise<void> {
    const port = `p${number}`;
    const peer = ['type', 'veth', 'peer', 'name', 'lan0', 'netns', networkNamespace];
    await this.#inside('ip', ['link', 'add', port, ...peer]);
    await this.#inside('ip', ['link', 'set', port, 'master', 'sw', 'up']);
    await run('ip', ['-n', networkNamespace, 'addr', 'add', `${address}/24`, 'dev', 'lan0']);
    await run('ip', ['-n', networkNamespace, 'link', 'set', 'lan0', 'up']);
  }

  /** Drops these frames too. What it returns ends that. */
  async block(...blocks: readonly Block[]): Promise<() => Promise<void>> {
    await this.#set((before) => [...before, ...blocks]);
    return async () => this.#set((before) => before.filter((block) => !blocks.includes(block)));
  }

  async heal(): Promise<void> {
    await this.#set(() => []);
  }

  async #set(change: (before: readonly Block[]) => readonly Block[]): Promise<void> {
    this.#blocks = change(this.#blocks);
    const apply = async (): Promise<string> =>
      this.#inside('nft', ['-f', '-'], rulesOf(this.#blocks));
    this.#lastChange = this.#lastChange.then(apply, apply);
    await this.#lastChange;
  }

  async #inside(command: string, args: readonly string[], input = ''): Promise<string> {
    return run('nsenter', [`--net=/run/netns/${this.name}`, command, ...args], input);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await run('ip', ['netns', 'del', this.name]);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

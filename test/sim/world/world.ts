import type { ProcessRaftMessageRequest } from '../../../src/api/gen/types.ts';
import { messageOf } from '../../../src/runtime/index.ts';
import { Checks } from '../checks/checks.ts';
import {
  updatesMs,
  whatIsAmissOfManagers,
  whatIsMissing,
  whoHasNotHeard,
  whoIsNotMissed,
} from '../checks/liveness.ts';
import { Kernel } from '../kernel/kernel.ts';
import { Marks } from '../kernel/marks.ts';
import { Stream } from '../kernel/streams.ts';
import type { Call } from '../ports/call.ts';
import { Network } from '../ports/network.ts';
import type { Line } from '../ports/quiet-log.ts';
import { Wires } from '../ports/wires.ts';
import { AgentHost } from './agent-host.ts';
import { Clients } from './clients.ts';
import { Desks } from './desks.ts';
import { Departures } from './group/departures.ts';
import { Founding } from './group/founding.ts';
import { Rebuilding } from './group/rebuilding.ts';
import { GroupMarks } from './group-marks.ts';
import { ManagerHost } from './manager-host.ts';
import { Nemesis } from './nemesis.ts';
import { Operator } from './operator.ts';
import type { Parts } from './parts.ts';
import { managerHosts, type Plan, type Size } from './plan/plan.ts';
import { drawSetting } from './setting.ts';

/** After the faults have ended everything is as it should be within this, in milliseconds. */
const healingMs = 90_000;
/** Somebody sees by then who has found no manager. */
const lostMs = 20_000;
/** And it is looked at this often. */
const lookMs = 5_000;
/**
 * Then a manager that follows comes and goes a few times, in half of all worlds, and nobody is to
 * mind: how long after the last fault, how often, and for how long each time.
 */
const flapping = {
  afterMs: 92_000,
  times: 4,
  awayMs: 2_500,
  hereMs: 1_500,
  restMs: 20_000,
} as const;

export interface WorldOptions {
  readonly seed: string;
  readonly size: Size;
  readonly plan: Plan;
  /** Hears every line that anybody logs. */
  readonly tell?: (text: string) => unknown;
}

/** How often who is in the swarm has changed. */
export interface Turns {
  /** Managers that were added to the group, and removed from it. */
  readonly promotions: number;
  readonly removals: number;
  /** Nodes that were removed from the swarm. */
  readonly departures: number;
  /** How often the swarm was rebuilt from one manager. */
  readonly rebuilds: number;
}

/** A swarm with everything round it, in one process and in virtual time. */
export class World {
  readonly kernel = new Kernel();
  readonly marks = new Marks();
  readonly #plan: Plan;
  readonly #parts: Parts;
  readonly #managers: readonly ManagerHost[];
  readonly #agents: readonly AgentHost[];
  readonly #nemesis: Nemesis;
  readonly #departures: Departures;
  readonly #rebuilding: Rebuilding;
  readonly #operator: Operator;
  readonly #checks: Checks;
  #settledAt: number | undefined;
  /** While a manager comes and goes, its agents look for another: only elections count. */
  #unwatched = { from: Infinity, until: Infinity };
  /** The term in which everything was well. */
  #settledIn = 0;

  constructor({ seed, size, plan, tell }: WorldOptions) {
    const { kernel, marks } = this;
    const setting = drawSetting(seed);
    const wires = new Wires(kernel, seed, setting.weather);
    const network = new Network(kernel, wires, setting);
    const checks = new Checks(kernel, marks);
    if (setting.hasCodec) marks.hit('messages passed through the real codec');
    this.#plan = plan;
    this.#checks = checks;
    this.#parts = {
      seed,
      kernel,
      marks,
      network,
      setting,
      checks,
      isLoud: tell !== undefined,
      hear: (host, line) => {
        tell?.(textOf(kernel.now, host, line));
        this.#hear(host, line);
      },
    };
    const parts = this.#parts;
    const hosts = managerHosts(size);
    const known = (): readonly string[] => this.#addresses();
    this.#managers = Array.from({ length: hosts }, (_, at) => {
      const isManager = at < size.managers;
      return new ManagerHost(parts, at, { clusterId: 'swarm', isManager, addresses: known });
    });
    const addresses = this.#addresses();
    this.#agents = Array.from(
      { length: size.agents },
      (_, at) => new AgentHost(parts, at, { hostNumber: hosts + at, addresses }),
    );
    this.#nemesis = new Nemesis(parts, this.#managers, this.#agents);
    const desks = new Desks(parts, this.#managers, this.#agents);
    const people = { managers: this.#managers, agents: this.#agents };
    this.#departures = new Departures(parts, desks, people, known);
    this.#departures.watch();
    this.#rebuilding = new Rebuilding(parts, people);
    this.#operator = new Operator(parts, desks, {
      departures: this.#departures,
      rebuilding: this.#rebuilding,
    });
    const groupMarks = new GroupMarks(parts, this.#managers, this.#nemesis);
    groupMarks.watch();
    checks.onRebuilt = () => {
      groupMarks.watch();
      this.#departures.watch();
      this.#departures.reconcile();
    };
    checks.meet(this.#managers, this.#agents, setting);
    network.onRequest = (call, request) => {
      checks.requested(call, request);
      if (handsOver(call, request)) this.#nemesis.handsOver(call.transport);
      const { nodeId } = call.transport.client.host;
      if (call.method.name === 'Assignments' && this.#nemesis.deaf.delete(nodeId)) {
        marks.hit('an assignment was lost, and all were asked for again');
      }
    };
    network.onServe = (call, door) => {
      checks.served(call, door.party);
    };
    network.onResponse = (call, _door, response) => {
      checks.answered(call, response);
    };
    network.onDelivered = (call, response) => {
      checks.delivered(call, response);
    };
    network.isLost = (call) => this.#isLost(call);
    network.breaks = (call, isAnswered) => this.#nemesis.breaks(call, isAnswered);
    network.mark = (mark) => {
      marks.hit(mark);
    };
    wires.onLate = () => {
      marks.hit('a message was held up by a cut, and arrived later');
    };
    kernel.afterEach = () => {
      checks.step();
    };
  }

  /** How often who is in the swarm has changed. */
  get turns(): Turns {
    const { rebuilds, turns } = this.#checks;
    return { ...turns, departures: this.#departures.removals, rebuilds };
  }

  /** Lets everything happen that is planned. */
  run(): void {
    const { kernel } = this;
    const { faults, deeds, healAt, endAt } = this.#plan;
    this.#managers[0]?.start();
    const founding = new Founding(this.#parts, this.#managers, this.#agents);
    kernel.after(1_000, undefined, () => {
      founding.look();
    });
    for (const [at, manager] of this.#managers.entries()) {
      if (at === 0) continue;
      kernel.after(1_500 + at * 2_500, undefined, () => {
        manager.start();
      });
    }
    const chance = new Stream(this.#parts.seed, 'arrival');
    for (const agent of this.#agents) {
      kernel.after(1_500 + chance.between(0, 3_000), undefined, () => {
        agent.start();
      });
    }
    for (const fault of faults) {
      kernel.after(fault.time, undefined, () => {
        this.#nemesis.do(fault);
      });
    }
    for (const deed of deeds) {
      kernel.after(deed.time, undefined, () => {
        this.#operator.do(deed);
      });
    }
    for (const manager of this.#managers) this.#keepTold(manager);
    kernel.after(healAt, undefined, () => {
      this.#nemesis.heal();
      this.#rebuilding.end();
      // Somebody tells who has found none of the managers where they are.
      for (const agent of this.#agents) if (!agent.hasSession) agent.tell(this.#addresses());
    });
    kernel.after(healAt + lostMs, undefined, () => {
      this.#tellTheLost();
    });
    if (new Stream(this.#parts.seed, 'outsider').chance(0.5)) this.#letFlap(healAt);
    for (let at = healAt + lookMs; at <= endAt; at += lookMs) {
      kernel.after(at, undefined, () => {
        this.#look(at - healAt);
      });
    }
    // In a share of worlds with several managers somebody looks at all that clients are told.
    const isWatched =
      this.#managers.length > 1 && new Stream(this.#parts.seed, 'clients').chance(0.4);
    const clients = new Clients(this.#parts, this.#managers);
    if (isWatched) kernel.after(10_000, undefined, () => clients.start(healAt + 20_000));
    kernel.runUntil(endAt);
    const unexplained = clients.verdict();
    if (unexplained !== undefined) kernel.violate('clients-are-told-one-history', unexplained);
    else if (isWatched) this.marks.hit('clients were told one history');
  }

  /** Who knows managers alone that have moved, or are none any more, is told: it cannot find out. */
  #tellTheLost(): void {
    const managers = this.#membersAddresses();
    for (const agent of this.#agents) {
      const isLost = !agent.addresses.some((address) => managers.includes(address));
      if (isLost && agent.isMember) agent.joinAt(managers);
    }
  }

  /** Where those are who take themselves for managers: one that was removed may be among them. */
  #addresses(): readonly string[] {
    return this.#managers
      .filter(({ host, isMember }) => isMember && host.role === 'swarm-manager')
      .map(({ address }) => address);
  }

  /** Where those are who take part, as the log has it. */
  #membersAddresses(): readonly string[] {
    const nodes = new Set(this.#checks.raft.configurations.newest.nodes.values());
    return this.#managers
      .filter(({ host }) => nodes.has(host.nodeId))
      .map(({ address }) => address);
  }

  /** A host hears of its node now and then, as an agent there would. */
  #keepTold(manager: ManagerHost): void {
    const chance = new Stream(this.#parts.seed, `news of ${manager.name}`);
    const tell = (): void => {
      const node = this.#checks.ledger.node(manager.host.nodeId);
      if (node !== undefined) manager.hear(node);
      this.kernel.after(chance.between(200, 2_000), undefined, tell);
    };
    tell();
  }

  /** A manager is cut off from the others again and again: it causes no election. Thesis §9.6 */
  #letFlap(healAt: number): void {
    const { afterMs, times, awayMs, hereMs, restMs } = flapping;
    const { kernel } = this;
    const outsider = (): ManagerHost | undefined =>
      // Of two, the other would lose its quorum.
      this.#checks.raft.configurations.newest.voters.size < 3
        ? undefined
        : this.#managers.findLast(({ manager }) => manager !== undefined && !manager.isLeader);
    let who: ManagerHost | undefined;
    for (let at = 0; at < times; at += 1) {
      const time = healAt + afterMs + at * (awayMs + hereMs);
      kernel.after(time, undefined, () => {
        who ??= outsider();
        if (who === undefined) return;
        this.#nemesis.isolate(who, at % 2 === 0 ? 'leader' : 'others', awayMs);
      });
    }
    this.#unwatched = {
      from: healAt + afterMs,
      until: healAt + afterMs + times * (awayMs + hereMs) + restMs,
    };
  }

  /** After the faults: is everything as it should be? */
  #look(sinceMs: number): void {
    const { kernel } = this;
    const { configurations, elections } = this.#checks.raft;
    const leader = this.#managers.find(
      (host) => host.manager?.isLeader === true && !this.#checks.isBehind(host),
    );
    const members = <T extends ManagerHost | AgentHost>(hosts: readonly T[]): readonly T[] =>
      hosts.filter((host) => !this.#departures.isOut(host) && !host.host.isLost);
    const missing =
      leader?.running === undefined
        ? 'nobody leads'
        : this.#departures.isBusy
          ? 'somebody is on the way in or out'
          : leader.running.store.view(
              (view) =>
                whatIsAmissOfManagers(view, members(this.#managers), configurations.newest) ??
                whoIsNotMissed(
                  view,
                  this.#agents.filter(({ host }) => host.isLost),
                ) ??
                whoHasNotHeard(members(this.#agents), this.#membersAddresses()) ??
                whatIsMissing(view, members(this.#agents)),
            );
    if (this.#settledAt !== undefined && elections.newestTerm !== this.#settledIn) {
      kernel.violate('leaders-stay', `there was an election ${sinceMs} ms after the last fault`);
    }
    const { from, until } = this.#unwatched;
    if (kernel.now > from && kernel.now < until) return;
    if (missing === undefined) {
      if (sinceMs >= 1.5 * lostMs) this.#settledAt ??= kernel.now;
      this.#settledIn = elections.newestTerm;
    }
    if (missing === undefined) return;
    if (this.#settledAt !== undefined) {
      kernel.violate('what-is-well-stays-well', `${sinceMs} ms after the last fault: ${missing}`);
    } else if (sinceMs >= healingMs + updatesMsAt(leader)) {
      kernel.violate('all-that-is-wanted-runs', `${sinceMs} ms after the last fault: ${missing}`);
    }
  }

  #isLost({ method, transport }: Call): boolean {
    if (method.name !== 'Assignments' || this.#nemesis.losing.size === 0) return false;
    const { nodeId } = transport.client.host;
    const isLost = this.#nemesis.losing.delete(nodeId);
    if (isLost) this.#nemesis.deaf.add(nodeId);
    return isLost;
  }

  #hear(host: string, { level, fields, message }: Line): void {
    if (level !== 'error' && level !== 'fatal') return;
    const { err } = fields;
    if (!(err instanceof Error)) return;
    if (err.name === 'SwarmError' || err.name === 'AbortError') return;
    this.#checks.broke(`${host}: ${message}`, err);
  }
}

function textOf(now: number, host: string, { level, fields, message }: Line): string {
  const { err, ...rest } = fields;
  const error = err === undefined ? '' : ` (${messageOf(err)})`;
  return `${now.toFixed(1).padStart(9)} ${host.padEnd(4)} ${level} ${message}${error} ${JSON.stringify(rest)}`;
}

/** Whether a manager tells another to take over. */
const handsOver = ({ method }: Call, request: unknown): boolean =>
  /^ProcessRaftMessages?$/u.test(method.name) &&
  (request as ProcessRaftMessageRequest).message?.type === 'MsgTimeoutNow';

/** How long the updates under way may take, as the leader has them. */
const updatesMsAt = (leader: ManagerHost | undefined): number =>
  leader?.running?.store.view(updatesMs) ?? 0;

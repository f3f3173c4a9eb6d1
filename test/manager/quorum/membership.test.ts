import { afterEach, describe, expect, test } from 'vitest';
import { connectRpc, type RpcConnection, staleName } from '../../../src/api/index.ts';
import { newRaftId, type RaftId } from '../../../src/raft/index.ts';
import { decodeMemberChange } from '../../../src/raft/wire.ts';
import { createLog, CryptoRandom, isSwarmError, SystemClock } from '../../../src/runtime/index.ts';
import { aMessage } from '../../support/raft-network.ts';
import { configsOf, createConfig, eventually, Quorum, type Running } from '../../support/quorum.ts';

let quorum = new Quorum();

afterEach(async () => {
  await quorum.stop();
  quorum = new Quorum();
});

const call = { signal: AbortSignal.timeout(60_000), deadlineMs: 10_000 };

const noLeader =
  "unknown: The swarm does not have a leader. It's possible that too few managers are online. " +
  'Make sure more than half of the managers are online.';

const removal = ({ raft }: Running) =>
  ({ type: 'ConfChangeRemoveNode', raftId: raft.status().raftId, member: undefined }) as const;

/** What a manager would call another with, whoever it says it is. */
function connectionOf(
  from: Pick<Running, 'security'>,
  to: Pick<Running, 'address'>,
): RpcConnection {
  const { rootCaPem: ca, certPem: cert, keyPem: key } = from.security.current;
  return connectRpc({
    kind: 'tls',
    address: to.address,
    serverName: 'swarm-manager',
    ca,
    identity: { cert, key },
  });
}

const refusal = async (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'taken',
    (error: unknown) => (isSwarmError(error) ? `${error.code}: ${error.message}` : String(error)),
  );

describe('membership', { timeout: 20_000 }, () => {
  test('a manager that comes back has what it missed, under the same ID', async () => {
    const [first, second, third] = await quorum.ofThree();
    const { raftId } = second.raft.status();
    await second.kill();
    await createConfig(first, 'missed');
    const again = await quorum.start(second, 'itself');
    await again.manager.serving(call.signal);
    await eventually(() => configsOf(again).includes('missed'));
    expect(again.raft.status().raftId).toBe(raftId);
    expect(third.raft.members()).toHaveLength(3);
  });

  test('one that was removed ends as removed, and is refused for ever', async () => {
    const [first, second, third] = await quorum.ofThree();
    await first.raft.changeMember(removal(third));
    expect(await third.ended).toBe('removed');
    const again = await quorum.start(third, 'itself');
    expect(await again.ended).toBe('removed');
    await createConfig(second, 'without-it');
    expect(first.raft.members()).toHaveLength(2);
  });

  test('one that was away while it was removed learns of it when it comes back', async () => {
    const [first, , third] = await quorum.ofThree();
    await third.kill();
    await first.raft.changeMember(removal(third));
    const { term } = first.raft.status();
    const again = await quorum.start(third, 'itself');
    expect(await again.ended).toBe('removed');
    expect(first.raft.status()).toMatchObject({ isLeader: true, term });
  });

  test('nobody speaks for another member', async () => {
    const [first, second, third] = await quorum.ofThree();
    const { term } = first.raft.status();
    const forged = {
      type: 'MsgAppResp',
      to: first.raft.status().raftId,
      from: second.raft.status().raftId,
      term: term + 5,
    } as const;
    const process = async (message: object, metadata = {}): Promise<string> => {
      using connection = connectionOf(third, first);
      return await refusal(
        connection.unary('Raft', 'ProcessRaftMessage', { message }, { ...call, metadata }),
      );
    };
    expect(await process(forged)).toBe(
      `permission-denied: raft: node ${third.nodeId} is not member ${forged.from}`,
    );
    expect(
      await process(forged, {
        forwarded_cert: 'true',
        forwarded_cert_cn: second.nodeId,
        forwarded_cert_org: quorum.swarm.clusterId,
        forwarded_cert_ou: 'swarm-manager',
      }),
    ).toBe('permission-denied: raft: a member speaks for itself alone');
    expect(first.raft.status()).toMatchObject({ isLeader: true, term });

    await first.raft.changeMember(removal(third));
    const own = { ...forged, from: third.raft.status().raftId };
    expect(await process(own)).toBe('not-found: raft: member was removed from the cluster');
  });

  test('nor by a stream of messages, whose end says why', async () => {
    const [first, second, third] = await quorum.ofThree();
    const { raftId: to, term } = first.raft.status();
    const message = { type: 'MsgHeartbeatResp', to, term } as const;
    const own = third.raft.status().raftId;
    const forged = second.raft.status().raftId;
    const stream = async (senders: readonly string[]): Promise<string> => {
      using connection = connectionOf(third, first);
      const messages = (async function* () {
        for (const from of senders) yield await Promise.resolve({ message: { ...message, from } });
      })();
      return await refusal(
        connection.clientStream('RaftStream', 'ProcessRaftMessages', messages, call),
      );
    };
    expect(await stream([own, own])).toBe('taken');
    expect(await stream([own, forged, own])).toBe(
      `permission-denied: raft: node ${third.nodeId} is not member ${forged}`,
    );
    await first.raft.changeMember(removal(third));
    expect(await stream([own])).toBe('not-found: raft: member was removed from the cluster');
  });

  test('without a quorum a call is refused in the words of the original', async () => {
    quorum = new Quorum({ tickMs: 20 });
    const [first, second, third] = await quorum.ofThree();
    await createConfig(first, 'known');
    await Promise.all([second.kill(), third.kill()]);
    await eventually(() => !first.manager.isLeader);
    expect(await refusal(createConfig(first, 'x'))).toBe(noLeader);
    const metadata = { [staleName]: 'true' };
    const known = await first.client.unary('Control', 'ListConfigs', {}, { ...call, metadata });
    expect(known.configs).toHaveLength(1);
    expect(first.manager.leaderlessForMs).toBeGreaterThan(0);
  });

  test('a leader that nobody knows where to find is none', async () => {
    quorum = new Quorum({ tickMs: 20 });
    const [first, second, third] = await quorum.ofThree();
    await Promise.all([first.kill(), second.kill()]);
    const { raftId: to, term } = third.raft.status();
    const from = '999' as RaftId;
    const heartbeat = aMessage({ type: 'MsgHeartbeat', from, to, term: term + 9 });
    let answer: string | undefined;
    await eventually(() => {
      third.raft.receive(heartbeat);
      return third.raft.status().leaderId === from;
    });
    void refusal(createConfig(third, 'x')).then((text) => (answer = text));
    await eventually(() => {
      third.raft.receive(heartbeat);
      return answer !== undefined;
    });
    expect(answer).toBe(noLeader);
    expect(third.manager.leaderlessForMs).toBeGreaterThan(0);
  });

  test('a new member gets a snapshot in parts, and goes on from there', async () => {
    quorum = new Quorum({ snapshotEntries: 20, keptEntries: 1 });
    const first = await quorum.found();
    const data = Buffer.alloc(450_000, 7);
    for (let n = 0; n < 20; n += 1) await createConfig(first, `large-${n}`, data);
    const second = await quorum.join(first);
    await createConfig(second, 'last');
    await eventually(() => configsOf(second).length === 21);
    const large = second.store
      .view((view) => view.find('config'))
      .filter(({ spec }) => spec?.data.equals(data) === true);
    expect(large).toHaveLength(20);
    expect(first.raft.members().every(({ isLearner }) => !isLearner)).toBe(true);
  });

  test('a manager that comes back elsewhere is found there', async () => {
    const [first, second, third] = await quorum.ofThree();
    await second.kill();
    const moved = { ...second, address: (await quorum.host()).address };
    const again = await quorum.start(moved, 'itself');
    const id = again.raft.status().raftId;
    await eventually(() => first.raft.addressOf(id) === moved.address);
    await eventually(() => third.raft.addressOf(id) === moved.address);
    await createConfig(again, 'from-elsewhere');
    await eventually(() => configsOf(again).length === 1);
    expect(first.raft.members()).toHaveLength(3);
  });

  test('what keeps it from being found there is logged once, not at each attempt', async () => {
    const [first, second, third] = await quorum.ofThree();
    await Promise.all([second.kill(), third.kill(), first.kill()]);
    const lines: string[] = [];
    const log = createLog(new SystemClock(), 'debug', { write: (line) => lines.push(line) });
    const moved = { ...second, address: (await quorum.host()).address, log };
    await quorum.start(moved, 'itself');
    const attempts = (level: string): string[] =>
      lines.filter(
        (line) => line.includes('address is not published yet') && line.includes(`"${level}"`),
      );
    // Nobody answers: at each attempt it asks both.
    await eventually(() => attempts('debug').length >= 4);
    expect(attempts('info')).toHaveLength(2);
    for (const line of attempts('info')) expect(line).toContain(`"advertise":"${moved.address}"`);
    await quorum.start(first, 'itself');
    const published = (): string[] =>
      lines.filter((line) => line.includes('"the new address is published"'));
    await eventually(() => published().length > 0);
    expect(published()).toHaveLength(1);
  });

  test('so is one whose log does not name it yet: it says so once it does', async () => {
    const [first, , third] = await quorum.ofThree();
    await third.kill();
    const { raftId } = third.raft.status();
    const log = await third.logs.open();
    const { hardState, entries } = await log.load();
    const added = entries.find(
      ({ type, data }) => type === 'EntryConfChange' && decodeMemberChange(data).raftId === raftId,
    );
    if (added === undefined) throw new Error('its log has its own addition');
    // A commit index goes to the disk with the next entries: it may be of long before.
    const before = { ...hardState, commitIndex: added.index - 1 };
    await log.save({ hardState: before, entries: [], snapshot: undefined });
    const moved = { ...third, address: (await quorum.host()).address };
    const again = await quorum.start(moved, 'itself');
    expect(again.raft.addressOf(raftId)).toBeUndefined();
    await eventually(() => first.raft.addressOf(raftId) === moved.address);
    await eventually(() => again.raft.addressOf(raftId) === moved.address);
  });

  test('one that crashed before it had a log joins under the ID it was given', async () => {
    const first = await quorum.found();
    const host = await quorum.host();
    await quorum.want(first, host);
    host.logs.failure = new Error('power is gone');
    const broken = await quorum.start(host, first);
    await expect(broken.ended).rejects.toThrow('power is gone');
    host.logs.failure = undefined;
    const given = first.raft.members().find(({ nodeId }) => nodeId === host.nodeId);
    const again = await quorum.start(host, first);
    await again.manager.serving(call.signal);
    expect(again.raft.status().raftId).toBe(given?.raftId);
    expect(first.raft.members()).toHaveLength(2);
  });

  test('one that was removed before it ever spoke, and is let in again, is another member', async () => {
    const [first] = await quorum.ofThree();
    const host = await quorum.host();
    await quorum.want(first, host);
    const { clusterId, nodeId } = host.security.current;
    await host.logs.create({ clusterId, nodeId, raftId: newRaftId(new CryptoRandom()) });
    const stranger = await quorum.start(host, first);
    expect(await stranger.ended).toBe('removed');

    host.logs.store = undefined; // As a node does whose manager was removed.
    const again = await quorum.start(host, first);
    await again.manager.serving(call.signal);
    expect(first.raft.members()).toHaveLength(4);
  });

  test('one that was removed before it ever spoke, and its node too, ends as removed', async () => {
    const first = await quorum.found();
    const host = await quorum.host();
    const { clusterId, nodeId } = host.security.current;
    await host.logs.create({ clusterId, nodeId, raftId: newRaftId(new CryptoRandom()) });
    await first.store.update((tx) => {
      const [cluster] = tx.find('cluster');
      if (cluster === undefined) throw new Error('a swarm has a cluster');
      tx.update('cluster', { ...cluster, blacklistedCertificates: { [nodeId]: { expiry: null } } });
    });
    const stranger = await quorum.start(host, first);
    expect(await stranger.ended).toBe('removed');
  });

  test('one that lost its log becomes a member anew: what it promised is not known', async () => {
    const [first, second] = await quorum.ofThree();
    const { raftId } = second.raft.status();
    await second.kill();
    second.logs.store = undefined;
    const again = await quorum.start(second, first);
    await again.manager.serving(call.signal);
    expect(again.raft.status().raftId).not.toBe(raftId);
    expect(first.raft.isRemoved(raftId)).toBe(true);
    expect(first.raft.members()).toHaveLength(3);
  });

  test('a node that is to be no manager is not let in', async () => {
    const first = await quorum.found();
    const stranger = await quorum.start(await quorum.host(), first);
    expect(await stranger.ended).toBe('removed');
    expect(first.raft.members()).toHaveLength(1);
  });

  test('a leader that commits its own removal tells the only other, which leads from then on', async () => {
    const first = await quorum.found();
    const second = await quorum.join(first);
    await eventually(() => first.raft.members().every(({ isLearner }) => !isLearner));
    await first.raft.changeMember(removal(first));
    expect(await first.ended).toBe('removed');
    await eventually(() => second.manager.isLeader);
    await createConfig(second, 'alone');
    expect(second.raft.members()).toHaveLength(1);
  });

  test('a leader that is asked to end hands over first', async () => {
    const [first, second, third] = await quorum.ofThree();
    const { term } = first.raft.status();
    const others = [second, third];
    await first.stop();
    expect(others.some(({ raft }) => raft.status().role === 'leader')).toBe(true);
    expect((await quorum.leader(others)).raft.status().term).toBe(term + 1);
  });
});

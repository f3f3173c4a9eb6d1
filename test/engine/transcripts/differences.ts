/** A difference that is meant. What stock says, so changed, is what swarmd says. */
export interface Difference {
  /** As `docs/compatibility.md` names it. */
  readonly matter: string;
  /** Why it differs. */
  readonly why: string;
  /** What stock says; it may stand anywhere in the answer to a step. */
  readonly stock: RegExp;
  /** What swarmd says in its place: a replacement, in which `$1` is the first group. */
  readonly swarmd: string;
  /** The step where it does, if not everywhere: a part of its line. */
  readonly at?: string;
}

/**
 * Every difference between what stock and swarmd answer to the docker CLI in these scripts. Each is
 * met with, and no other is: the test says so.
 */
export const differences: readonly Difference[] = [
  {
    matter: 'an address that cannot be advertised',
    why: 'the error names it',
    stock: /(?<=advertise address must be .*\))$/gmu,
    swarmd: ': "1.2.3"',
    at: '--advertise-addr 1.2.3',
  },
  {
    matter: 'an interface that cannot be advertised',
    why: 'the error names it',
    stock: /(?<=advertise address must be .*\))$/gmu,
    swarmd: ': "eth9"',
    at: '--advertise-addr eth9',
  },
  {
    matter: 'the words before an error of joining',
    why: 'they are gRPC’s, not the swarm’s',
    stock: /rpc error: code = \w+ desc = /gu,
    swarmd: '',
    at: 'swarm join ',
  },
  {
    matter: 'address pools in `docker info`',
    why: 'the default is shown where none was given',
    stock: /^ {2}Nodes: \d\n/gmu,
    swarmd: '$&  Default Address Pool: 10.0.0.0/8\n  SubnetSize: 24\n',
    at: 'docker info 2>&1',
  },
  {
    matter: 'a filter that is not known',
    why: 'newer Engines write it small',
    stock: /Invalid filter '/gu,
    swarmd: "invalid filter '",
  },
  {
    matter: 'the gRPC code of a constraint that cannot be read',
    why: 'it is the caller’s mistake, and has its code',
    stock: /code = Unknown desc = constraint/gu,
    swarmd: 'code = InvalidArgument desc = constraint',
  },
  {
    matter: 'a port published through the mesh',
    why: 'the mesh is refused',
    stock: /^ID\n\[exit 0\]$/u,
    swarmd:
      'Error response from daemon: rpc error: code = Unimplemented desc = the ingress routing mesh is not supported yet: publish port 8080 with mode=host\n[exit 1]',
    at: '--publish 8080:80 nginx',
  },
  {
    matter: 'a host port bound for IPv4 and IPv6, in a table',
    why: 'it is one port',
    stock: /(\*:\d+->\d+\/tcp),\1/gu,
    swarmd: '$1',
  },
  {
    matter: 'a host port bound for IPv4 and IPv6, of a task',
    why: 'it is one port',
    stock: /( *\{\n *"Protocol": "tcp",\n[^}]*\}),\n\1/gu,
    swarmd: '$1',
  },
  {
    matter: 'nodes with `membership=accepted`',
    why: 'an update of a node leaves its membership alone; in stock it makes it pending',
    stock: /^node-01$/gmu,
    swarmd: 'node-01\nnode-02\nnode-03',
    at: 'membership=accepted',
  },
  {
    matter: 'an unhealthy task whose container ends with 0',
    why: 'it has failed, and says why',
    stock: /Complete AGO$/gmu,
    swarmd: 'Failed AGO  "task: non-zero exit (0): dockerexec: unhealthy container"',
    at: 'service ps --no-trunc hb',
  },
];

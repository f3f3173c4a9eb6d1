/** What has to happen in some seed of every run; otherwise the run has not looked where it should. */
const marksOfAny = [
  'a snapshot was taken while writes were in flight',
  'a manager came back from a snapshot',
  'a manager died while a batch was on its way to the disk',
  'a batch reached the disk though its writer died',
  'a write failed, and the manager ended',
  'a log was refused: journal',
  'a log was refused: current',
  'a log was refused: value',
  'an agent reconnected with running tasks',
  'an agent came back to tasks that had lost their power',
  'an agent had forgotten its tasks',
  'a container that nobody knew was removed',
  'an assignment was lost, and all were asked for again',
  'a session was no longer valid',
  'a node was down and came back',
  'a task was replaced while it still ran out of sight',
  'a container died and was replaced',
  'an Engine hung while a container was being started',
  'a request arrived twice',
  'a message was held up by a cut, and arrived later',
  'a connection was refused',
  'a call ran into its deadline',
  'a process was paused for longer than its grace',
  'a wall clock went back',
  'a manager died while a person waited for it',
  'an update was under way when the manager died',
  'an update was rolled back',
  'a drained node was emptied',
  'a service was removed while its tasks came up',
  'a host was gone for good',
  'messages passed through the real codec',
  'the heartbeat period was changed',
] as const;

/** The same of runs with several managers. */
const marksOfGroups = [
  'a learner was promoted',
  'a learner was promoted after a snapshot',
  'a leader was removed, having handed over',
  'a manager was removed while there was a cut',
  'a manager was added while there was a cut',
  'a manager was removed while it was down',
  'a manager was added while another was down',
  'a manager that was removed came back as another member',
  'a manager lost its disk',
  'all managers were down',
  'a manager came back at another address',
  'a manager died as the leadership was handed over to it',
  'a snapshot broke off',
  'a snapshot arrived, and nobody was told',
  'a message of Raft arrived again, and late',
  'a swarm was rebuilt at another address',
  'one manager alone was left',
  'a demotion was refused',
  'entries that were not committed were replaced',
  'a snapshot replaced a log',
  'an election had no winner',
  'the leadership was handed over',
  'clients were told one history',
  'a member took no stream of messages',
  'a worker that was down was removed',
  'a worker was removed while it ran',
  'a worker left the swarm',
  'a manager left the swarm, and others served on',
  'the place of a manager that had left was cleared',
  'a removal was refused',
  'a host whose node was removed joined anew',
  'a node that was removed called, and was refused',
  'a swarm was rebuilt from one manager',
  'a rebuild lost what only others had',
  'a rebuild kept what was not known to be committed',
  'managers went on beside a rebuilt swarm, and nobody there saw it',
  'a manager that was left behind came back, and was refused',
  'a container ran on through a rebuild',
  'a rebuilt swarm has another manager again',
] as const;

export type Mark = (typeof marksOfAny)[number] | (typeof marksOfGroups)[number];

/** What happens in one world of six or so: not each short run is to have it. */
const seldom: ReadonlySet<Mark> = new Set<Mark>([
  'a manager was added while there was a cut',
  'a manager was added while another was down',
  'a manager was removed while it was down',
  'a demotion was refused',
  'a manager died as the leadership was handed over to it',
  'a snapshot broke off',
  'a snapshot arrived, and nobody was told',
  'a message of Raft arrived again, and late',
  'a swarm was rebuilt at another address',
  'entries that were not committed were replaced',
  'an election had no winner',
  'a worker was removed while it ran',
  'a manager left the swarm, and others served on',
  'the place of a manager that had left was cleared',
  'a swarm was rebuilt from one manager',
  'a rebuild lost what only others had',
  'a rebuild kept what was not known to be committed',
  'managers went on beside a rebuilt swarm, and nobody there saw it',
  'a manager that was left behind came back, and was refused',
  'a container ran on through a rebuild',
  'a rebuilt swarm has another manager again',
]);

export const isSeldom = (mark: Mark): boolean => seldom.has(mark);

/** What is to be seen in a run of worlds with so many managers. */
export const marksOf = ({ managers }: { readonly managers: number }): readonly Mark[] =>
  managers > 1 ? marksOfGroups : marksOfAny;

/** What was seen in a run. */
export class Marks {
  readonly seen = new Set<Mark>();

  hit(mark: Mark): void {
    this.seen.add(mark);
  }
}

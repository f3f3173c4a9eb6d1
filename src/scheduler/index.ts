export { type ClusterChange, ClusterView } from './cluster-view.ts';
export { type Constraint, meetsConstraints, parseConstraints } from './constraint.ts';
export { type Placement, type Refusal, type Schedule, schedule } from './schedule.ts';

/** What a node says that cannot do what it is asked to, in the words of moby daemon/cluster. */
export const alreadyMember =
  'This node is already part of a swarm. Use "docker swarm leave" to leave this swarm and join another one.';
export const notMember = 'This node is not part of a swarm';
/** Why a node does not answer for its swarm. */
export const notManager = {
  locked:
    'Swarm is encrypted and needs to be unlocked before it can be used. Please use "docker swarm unlock" to unlock it.',
  inactive:
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.',
  preparing:
    'This node is not a swarm manager. Manager is being prepared or has trouble connecting to the cluster.',
  worker:
    "This node is not a swarm manager. Worker nodes can't be used to view or modify cluster state. Please run this command on a manager node or promote the current node to a manager.",
} as const;
export const joinTimeout =
  'Timeout was reached before node joined. The attempt to join the swarm will continue in the background. Use the "docker info" command to see the current swarm status of your node.';

/** The labels by which a task's container is known. moby daemon/cluster/executor/container */
export const systemLabel = {
  task: 'com.docker.swarm.task',
  taskId: 'com.docker.swarm.task.id',
  taskName: 'com.docker.swarm.task.name',
  nodeId: 'com.docker.swarm.node.id',
  serviceId: 'com.docker.swarm.service.id',
  serviceName: 'com.docker.swarm.service.name',
} as const;

/** On a network that stands for one every Engine has of itself: bridge, host, none. */
export const predefinedLabel = 'com.docker.swarm.predefined';

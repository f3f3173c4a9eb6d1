// Whether the daemon of this container is a working node of a swarm: its health check.
import { request } from 'node:http';

const socketPath = (process.env.SWARMD_HOST ?? '/run/swarmd/swarmd.sock').replace('unix://', '');

const ask = (path) =>
  new Promise((resolve, reject) => {
    request({ socketPath, path }, (response) => {
      let text = '';
      response.on('data', (chunk) => (text += chunk));
      response.on('end', () => resolve({ status: response.statusCode, text }));
    })
      .on('error', reject)
      .end();
  });

const { text } = await ask('/info');
const { LocalNodeState, ControlAvailable } = JSON.parse(text).Swarm;
if (LocalNodeState !== 'active') throw new Error(`this node is ${LocalNodeState}`);
if (ControlAvailable) {
  // A manager can be asked about the swarm only while it hears of a leader.
  const { status, text: why } = await ask('/nodes');
  if (status !== 200) throw new Error(why);
}

import { type PrivateEngine, startPrivateEngine } from '../../scripts/lib/private-engine.mjs';
import { importStandIns } from '../../scripts/lib/stand-in-image.mjs';

export interface DockerDaemon extends PrivateEngine, AsyncDisposable {}

/** Starts a private Docker Engine that has the named stand-in images. */
export async function startDockerDaemon(
  options: {
    /** Further arguments for dockerd. */
    readonly args?: readonly string[];
    readonly images?: readonly string[];
    /** The name it has for its host; the machine's, if not given. */
    readonly hostname?: string;
  } = {},
): Promise<DockerDaemon> {
  const { images = ['busybox:latest', 'hold:latest', 'nginx:latest'], args = [] } = options;
  const { hostname } = options;
  const engine = await startPrivateEngine({
    args,
    ...(hostname === undefined ? {} : { hostname }),
  });
  const daemon = { ...engine, [Symbol.asyncDispose]: async () => engine.stop() };
  try {
    await importStandIns(engine.socketPath, images);
    return daemon;
  } catch (error) {
    await engine.stop();
    throw error;
  }
}

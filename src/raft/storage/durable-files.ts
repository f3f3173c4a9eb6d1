import { type FileHandle, open, stat } from 'node:fs/promises';

export const isThere = async (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

/** Makes a file that is there with all its bytes, whatever happens, once its directory is synced. */
export async function writeSynced(path: string, bytes: Buffer): Promise<void> {
  await withFile(await open(path, 'wx', 0o600), async (file) => {
    await file.write(bytes);
    await file.sync();
  });
}

/** Has the names in a directory survive the host. */
export async function syncDirectory(path: string): Promise<void> {
  await withFile(await open(path, 'r'), async (file) => file.sync());
}

async function withFile(
  file: FileHandle,
  work: (file: FileHandle) => Promise<void>,
): Promise<void> {
  try {
    await work(file);
  } finally {
    await file.close();
  }
}

const idPattern = /^sha256:[0-9a-f]{64}$/u;

/** Whether an image is named by the ID of what it holds: no registry has a say in that. */
export const isImageId = (image: string): boolean => idPattern.test(image);

/** Whether an image is named by the digest of its manifest: what is there under it never changes. */
export const isDigest = (image: string): boolean => /@sha256:[0-9a-f]{64}$/u.test(image);

/**
 * A reference as a person writes it, with the tag it stands for: `docker.io/library/nginx` is
 * `nginx:latest`. What is no reference is left as it is; the Engine says what is wrong with it.
 * distribution reference/normalize.go
 */
export function familiarImage(image: string): string {
  if (isImageId(image)) return image;
  const [, bare = image] = /^(?:(?:index\.)?docker\.io\/)(.+)$/u.exec(image) ?? [];
  const [, name = bare] = /^library\/([^/]+)$/u.exec(bare) ?? [];
  const lastPart = name.slice(name.lastIndexOf('/') + 1);
  return /[:@]/u.test(lastPart) ? name : `${name}:latest`;
}

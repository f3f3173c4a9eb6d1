const nameBytesMax = 255;

/** A registry's host, with its port. An IPv6 address stands in brackets. */
const label = '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])';
const domain = `(?:${label}(?:\\.${label})*|\\[(?:[a-fA-F0-9:]+)\\])(?::[0-9]+)?`;
const component = '[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*';
const path = `${component}(?:/${component})*`;
const tag = '\\w[\\w.-]{0,127}';
const digest = '[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}';
const referencePattern = new RegExp(
  `^(?<name>${domain}/${path})(?::${tag})?(?:@(?<digest>${digest}))?$`,
  'u',
);
const imageId = /^[a-f0-9]{64}$/u;
/** The number of digits of the digests that are known; others may have any. */
const hexDigits: Readonly<Record<string, number>> = { sha256: 64, sha384: 96, sha512: 128 };

/**
 * Whether a text names an image in the way of the docker CLI: `nginx`, `user/app:1.2`,
 * `registry:5000/app@sha256:…`. distribution/reference ParseNormalizedNamed
 */
export function isImageReference(image: string): boolean {
  if (imageId.test(image)) return false;
  const match = referencePattern.exec(normalized(image));
  const { name, digest: given } = match?.groups ?? {};
  if (name === undefined || name.length > nameBytesMax) return false;
  return given === undefined || hasDigitsOfItsKind(given);
}

/** The reference with its registry and, on Docker Hub, with its namespace. */
function normalized(image: string): string {
  const slash = image.indexOf('/');
  const first = image.slice(0, Math.max(slash, 0));
  const isRegistry =
    slash !== -1 && (/[.:]/u.test(first) || first === 'localhost' || first !== first.toLowerCase());
  if (isRegistry && first !== 'docker.io' && first !== 'index.docker.io') return image;
  const remainder = isRegistry ? image.slice(slash + 1) : image;
  return `docker.io/${remainder.includes('/') ? '' : 'library/'}${remainder}`;
}

function hasDigitsOfItsKind(text: string): boolean {
  const [algorithm = '', hex = ''] = text.split(':');
  const digits = hexDigits[algorithm];
  return digits === undefined || (hex.length === digits && hex === hex.toLowerCase());
}

/** One block of a PEM file. RFC 1421 §4.4, RFC 7468 */
export interface PemBlock {
  /** `CERTIFICATE`, `PRIVATE KEY`, … */
  readonly label: string;
  /** The `Name: value` lines before the body; names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly der: Buffer;
}

const blockPattern = /-----BEGIN ([A-Z0-9 ]+)-----\r?\n([\s\S]*?)-----END \1-----/gu;

/** The blocks of a PEM text, in order. What stands between them is ignored. */
export function pemBlocks(text: string): readonly PemBlock[] {
  return [...text.matchAll(blockPattern)].map(([, label = '', inner = '']) => {
    const lines = inner.split(/\r?\n/u);
    const headers = lines
      .map((line) => /^([A-Za-z0-9-]+):\s*(.*)$/u.exec(line))
      .filter((match) => match !== null)
      .map(([, name = '', value = '']) => [name.toLowerCase(), value.trim()] as const);
    const body = lines.filter((line) => !line.includes(':')).join('');
    return { label, headers: Object.fromEntries(headers), der: Buffer.from(body, 'base64') };
  });
}

/** A PEM block as Go writes it: headers in the order of their names, 64 characters a line. */
export function pem(
  label: string,
  der: Uint8Array,
  headers: Readonly<Record<string, string>> = {},
): string {
  const lines = Buffer.from(der)
    .toString('base64')
    .match(/.{1,64}/gu) ?? [''];
  const named = Object.entries(headers)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}: ${value}\n`);
  const head = named.length === 0 ? '' : `${named.join('')}\n`;
  return `-----BEGIN ${label}-----\n${head}${lines.join('\n')}\n-----END ${label}-----\n`;
}

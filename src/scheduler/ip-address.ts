/** An IP address as a number of 128 bits; IPv4 ones are mapped into IPv6, as Go has it. */
type Bits = bigint;

const width = 128;
const mappedPrefix = 0xffff_0000_0000n;

/** Whether two texts are the same address; `undefined` if `pattern` is no address. */
export function isSameAddress(pattern: string, address: string): boolean | undefined {
  const wanted = parseAddress(pattern);
  return wanted === undefined ? undefined : wanted === parseAddress(address);
}

/** Whether an address lies in a network in CIDR form; `undefined` if `cidr` is no such form. */
export function isInNetwork(cidr: string, address: string): boolean | undefined {
  const [base = '', length = '', ...rest] = cidr.split('/');
  const network = parseAddress(base);
  const most = base.includes(':') ? width : 32;
  if (network === undefined || rest.length > 0 || !/^\d{1,3}$/u.test(length)) return undefined;
  if (Number(length) > most) return undefined;
  const shift = BigInt(most - Number(length));
  const bits = parseAddress(address);
  return bits !== undefined && bits >> shift === network >> shift;
}

function parseAddress(text: string): Bits | undefined {
  if (!text.includes(':')) {
    const bits = parseFour(text);
    return bits === undefined ? undefined : bits | mappedPrefix;
  }
  return parseSix(text);
}

function parseFour(text: string): Bits | undefined {
  const parts = text.split('.');
  const isValid = parts.length === 4 && parts.every((part) => /^(?:0|[1-9]\d{0,2})$/u.test(part));
  if (!isValid || parts.some((part) => Number(part) > 255)) return undefined;
  return parts.reduce((bits, part) => (bits << 8n) | BigInt(part), 0n);
}

function parseSix(text: string): Bits | undefined {
  // A dotted tail stands for the last two groups.
  const dotted = /^(.*:)([^:]*\.[^:]*)$/u.exec(text);
  const tail = dotted === null ? undefined : parseFour(dotted[2] ?? '');
  if (dotted !== null && tail === undefined) return undefined;
  const hex =
    tail === undefined
      ? text
      : `${dotted?.[1] ?? ''}${(tail >> 16n).toString(16)}:${(tail & 0xffffn).toString(16)}`;

  const halves = hex.split('::').map((half) => (half === '' ? [] : half.split(':')));
  if (halves.length > 2) return undefined;
  const [head = [], end = []] = halves;
  const given = head.length + end.length;
  if (halves.length === 2 ? given > 7 : given !== 8) return undefined;
  const groups = [...head, ...Array<string>(8 - given).fill('0'), ...end];
  if (!groups.every((group) => /^[\da-f]{1,4}$/iu.test(group))) return undefined;
  return groups.reduce((bits, group) => (bits << 16n) | BigInt(`0x${group}`), 0n);
}

import type { Frozen } from '../../../api/index.ts';
import type { Annotations as WireAnnotations } from '../../../api/gen/types.ts';
import { invalid } from '../common/errors.ts';

type Annotations = Frozen<WireAnnotations>;

// Written so that no text makes them backtrack for long.
const dnsName = /^[a-zA-Z0-9](?:[a-zA-Z0-9_-]*[a-zA-Z0-9])?$/u;
const dnsNameMax = 63;
const payloadName = /^[a-zA-Z0-9](?:[a-zA-Z0-9_.-]*[a-zA-Z0-9])?$/u;
const payloadNameMax = 64;

/**
 * The name of a service or network: it becomes a name in DNS.
 * swarmkit manager/controlapi/common.go
 *
 * @throws SwarmError invalid-argument
 */
export function validateDnsName(annotations: Annotations | null): void {
  const name = annotations?.name ?? '';
  if (name === '') throw invalid('meta: name must be provided');
  if (!dnsName.test(name)) throw invalid('name must be valid as a DNS name component');
  if (name.length > dnsNameMax) {
    throw invalid(`name must be ${dnsNameMax} characters or fewer`);
  }
}

/**
 * The name of a secret or config: it becomes the name of a file.
 * swarmkit manager/controlapi/common.go
 *
 * @throws SwarmError invalid-argument
 */
export function validatePayloadName(annotations: Annotations | null): void {
  const name = annotations?.name ?? '';
  if (name === '') throw invalid('name must be provided');
  if (name.length > payloadNameMax || !payloadName.test(name)) {
    throw invalid(
      'invalid name, only 64 [a-zA-Z0-9-_.] characters allowed, and the start and end character must be [a-zA-Z0-9]',
    );
  }
}

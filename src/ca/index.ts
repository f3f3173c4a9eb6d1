export type { LogSecrets } from './at-rest/log-secrets.ts';
export { formatUnlockKey, type Kek, parseUnlockKey } from './at-rest/unlock-key.ts';
export {
  type ClaimedIdentity,
  type ForwardedCall,
  forwardedCall,
  identityOfSubject,
  ipOf,
  metadataOfCaller,
} from './caller.ts';
export { type Connect, type ConnectOptions, enroll } from './enrollment.ts';
export { clusterRootCa, foundIdentity, loadIdentity, type LoadedIdentity } from './founding.ts';
export { newJoinToken, newJoinTokens, parseJoinToken, roleOfToken } from './join-token.ts';
export { type Identity, KeyStore, type Resealing } from './key-store.ts';
export { Renewal } from './renewal.ts';
export { certExpiryMsMin, defaultCertExpiryMs, RootCa, rootDigest } from './root-ca.ts';
export { issuerInfoOf, SecurityConfig, type TlsMaterial } from './security-config.ts';
export { certificatesOf, normalizedPem, validityOf } from './x509/certificate.ts';
export { keyOfCsr, newCsr } from './x509/csr.ts';
export { keyToPem, newKey } from './x509/key.ts';

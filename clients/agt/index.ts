export { type AttachDeps, type Attachment, attach } from './attach.ts'
export type { ContactState } from './contact.ts'
export { type DelegationTerms, type SignedDelegation, type SignerLike, signDelegation } from './delegate.ts'
export { AgtClientError, type ClientErrorCode, clientErrors, type GateCode, gateCodes, type Report } from './errors.ts'
export type { Gate, GateVerdict } from './gate.ts'
export type { AttachOptions } from './options.ts'
export type {
  GovernedLike,
  IdentityLike,
  KillContextLike,
  KillResultLike,
  KillSwitchLike,
  LifecycleLike,
  LifecyclesLike,
  RegistryLike,
  TrustLike,
} from './sdk.ts'
export type { TrustAnswer } from './trusting.ts'

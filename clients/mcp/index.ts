export type { Authority, DecisionAnswer, DecisionRequest } from '../decisions.ts'
export type { Asked, Caller, CallRecord, Party } from './caller.ts'
export { type GuardErrorCode, guardErrors, McpGuardError } from './errors.ts'
export { createMcpGuard, type McpGuard } from './guard.ts'
export type { ToolCall } from './messages.ts'
export type { Metadata, ResourceMetadata } from './metadata.ts'
export type { McpGuardOptions } from './options.ts'
export { createRemoteAuthority, type RemoteAuthority, type RemoteAuthorityOptions } from './remote.ts'
export type {
  AuthInfoLike,
  FastifyReplyLike,
  FastifyRequestLike,
  Next,
  RequestLike,
  ServerLike,
  TransportLike,
} from './sdk.ts'

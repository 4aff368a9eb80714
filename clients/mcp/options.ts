import type { Authority } from '../decisions.ts'
import { milliseconds, originOf } from '../place.ts'
import type { Asked, CallRecord } from './caller.ts'
import { type McpGuardError, type Report, wrong } from './errors.ts'
import type { ToolCall } from './messages.ts'
import type { ResourceMetadata } from './metadata.ts'

export interface McpGuardOptions {
  /** Who decides: a verifier in this process, or `createRemoteAuthority`. */
  readonly authority: Authority
  /** URI of this server, as clients name it (RFC 8707): https, or http on loopback; no query or fragment. */
  readonly resource: string
  /** Issuers that give out tokens for it; clients are told them. */
  readonly authorizationServers: readonly string[]
  /** What a token's `aud` must name, one of them, byte for byte. Default: `resource`. */
  readonly audiences?: readonly string[] | undefined
  /** Scopes without which a token is not let in. */
  readonly scopes?: readonly string[] | undefined
  /** Which tool server of the bridge this is: its name there or its URI. Default: `resource`. */
  readonly server?: string | undefined
  /** Name of the resource, for people. */
  readonly name?: string | undefined
  /** Its documentation, a URL. */
  readonly documentation?: string | undefined
  /** Whom to ask about a suspended agent, e.g. an e-mail address or URL. Everyone who is refused sees it. */
  readonly contact?: string | undefined
  /** What is asked of a call instead of tool, server and arguments: a capability, say, or a resource with them. */
  readonly question?: ((call: ToolCall, asked: Asked) => Asked | Promise<Asked>) | undefined
  /** Told of every call, allowed or not, before it is made; what it throws refuses the call. */
  readonly onCall?: ((record: CallRecord) => void | Promise<void>) | undefined
  /** Hears what went wrong. Default: `process.emitWarning`. What it throws is ignored. */
  readonly onError?: Report | undefined
  /** How often the question is asked again for an answer that is still being sent. Default 2 s. */
  readonly recheckMs?: number | undefined
  /** Of a body that is read here, because nobody did before. Default 4 MiB, as the SDK. */
  readonly maxBodyBytes?: number | undefined
}

export interface Settings {
  readonly authority: Authority
  readonly resource: URL
  readonly audiences: readonly string[]
  readonly scopes: readonly string[]
  readonly server: string
  readonly contact: string | undefined
  readonly document: ResourceMetadata
  readonly question: (call: ToolCall, asked: Asked) => Asked | Promise<Asked>
  readonly onCall: (record: CallRecord) => void | Promise<void>
  readonly report: Report
  readonly recheckMs: number
  readonly maxBodyBytes: number
}

const quietMs = 10_000

/** A bridge that is away is away for every request: of each code one in a while is told. */
const warner = (): Report => {
  const told = new Map<string, number>()
  return ({ code, message }) => {
    const now = performance.now()
    if (now - (told.get(code) ?? Number.NEGATIVE_INFINITY) < quietMs) return
    told.set(code, now)
    process.emitWarning(message, { type: 'AgentMeshIdpBridge', code })
  }
}

const texts = (name: string, values: readonly string[]): readonly string[] => {
  if (!Array.isArray(values) || values.some((one) => typeof one !== 'string' || one === '')) {
    throw wrong(`${name} must be a list of texts.`)
  }
  return [...values]
}

const scopesOf = (values: readonly string[]): readonly string[] => {
  const scopes = texts('scopes', values)
  // RFC 6749 section 3.3: they stand in a header, separated by spaces.
  const bad = scopes.find((scope) => !/^[\x21\x23-\x5b\x5d-\x7e]+$/.test(scope))
  if (bad !== undefined) throw wrong('scopes must be scope tokens of RFC 6749.')
  return scopes
}

const some = (name: string, values: readonly string[]): readonly string[] => {
  if (values.length === 0) throw wrong(`${name} must not be empty.`)
  return values
}

/** @throws McpGuardError E_OPTIONS */
export const settingsOf = (options: McpGuardOptions): Settings => {
  const { authority, name, documentation, contact, onError = warner() } = options
  if (typeof authority?.decide !== 'function') throw wrong('authority has no decide method.')
  const resource = originOf('resource', options.resource, wrong)
  // It is compared byte by byte, by clients, in tokens and in the bridge's list of tool servers.
  if (![options.resource, `${options.resource}/`].includes(resource.href)) {
    throw wrong(`resource must be spelled ${resource.href}`)
  }
  const issuers = some('authorizationServers', texts('authorizationServers', options.authorizationServers))
  for (const issuer of issuers) originOf('each of authorizationServers', issuer, wrong)
  const scopes = scopesOf(options.scopes ?? [])
  const maxBodyBytes = options.maxBodyBytes ?? 4 * 1024 * 1024
  if (!Number.isInteger(maxBodyBytes) || maxBodyBytes < 1) throw wrong('maxBodyBytes must be a whole number from 1.')
  return {
    authority,
    resource,
    audiences: some('audiences', texts('audiences', options.audiences ?? [options.resource])),
    scopes,
    server: options.server ?? options.resource,
    contact,
    document: {
      resource: options.resource,
      authorization_servers: issuers,
      bearer_methods_supported: ['header'],
      ...(scopes.length > 0 && { scopes_supported: scopes }),
      ...(name !== undefined && { resource_name: name }),
      ...(documentation !== undefined && { resource_documentation: documentation }),
    },
    question: options.question ?? ((_call, asked) => asked),
    onCall: options.onCall ?? (() => undefined),
    report: (error: McpGuardError) => {
      try {
        onError(error)
      } catch {
        // A listener that throws must not let a call through, nor end the process.
      }
    },
    recheckMs: milliseconds('recheckMs', options.recheckMs, 2_000, wrong),
    maxBodyBytes,
  }
}

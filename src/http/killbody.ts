import { canonical } from '../core/canonical.ts'
import type { KillInput } from '../engine/api.ts'
import { invalid } from './validation.ts'

export type Members = Readonly<Record<string, unknown>>

export const didNames = ['agentId', 'agent_did', 'AgentId', 'agentDid', 'AgentDid', 'did', 'agent_id', 'agent']
const reasonNames = ['reason', 'Reason']
const wordsNames = ['details', 'Details', 'detail', 'Detail', 'message', 'Message']
const actionNames = ['action', 'Action']
const timeNames = ['killedAt', 'killed_at', 'KilledAt', 'timestamp', 'Timestamp', 'timestamp_secs']
const answerNames = ['inResponseTo', 'in_response_to', 'InResponseTo']

/** System.Text.Json writes an enum as its number unless told otherwise. */
const dotnetReasons = ['PolicyViolation', 'TrustThreshold', 'ManualOverride', 'AnomalyDetected', 'ResourceExhaustion']

const MAX_REASON = 2000
const MAX_DETAILS = 8 * 1024
const MAX_OMITTED = 10
/** Of MAX_DETAILS, kept free for the names of what did not fit. */
const OMITTED_BYTES = 1024

export const isMembers = (value: unknown): value is Members =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

export const refuse = (pointer: string, code: string, hint: string) => invalid('body', [{ pointer, code }], hint)

/** Every value given under one of the names; null counts as not given. */
const given = (from: Members, names: readonly string[]): { name: string; value: unknown }[] =>
  names.map((name) => ({ name, value: from[name] })).filter(({ value }) => value !== undefined && value !== null)

const firstText = (from: Members, names: readonly string[]): string | undefined => {
  for (const { name, value } of given(from, names)) {
    if (typeof value === 'string') {
      if (value.trim() !== '') return value
    } else if (typeof value === 'number' && reasonNames.includes(name)) return dotnetReasons[value] ?? String(value)
  }
  return undefined
}

const scopeHint = 'Name one agent; for several send agentIds or a selector.'

/** Go writes `{ kind, value }`, Rust `"global"`, `{ agent }` or `{ capability }`. */
const scopeDid = (scope: unknown): string | undefined => {
  if (scope === undefined || scope === null) return undefined
  if (!isMembers(scope)) throw refuse('/scope', 'unsupported_scope', scopeHint)
  const kind = scope.kind ?? scope.Kind
  const value = kind === undefined ? scope.agent : (scope.value ?? scope.Value)
  if (kind !== undefined && kind !== 'agent') throw refuse('/scope/kind', 'unsupported_scope', scopeHint)
  if (typeof value !== 'string') throw refuse('/scope', 'unsupported_scope', scopeHint)
  return value
}

const didOf = (body: Members): string => {
  const named = given(body, didNames)
  const wrong = named.find(({ value }) => typeof value !== 'string')
  if (wrong !== undefined) throw refuse(`/${wrong.name}`, 'invalid_type', 'Name the agent by its DID, a string.')
  const bare = named.length === 0 && ('kind' in body || 'capability' in body) ? body : undefined
  const dids = new Set<unknown>([...named.map(({ value }) => value), scopeDid(body.scope ?? body.Scope ?? bare)])
  dids.delete(undefined)
  const [did, other] = dids
  if (typeof did !== 'string') {
    throw refuse('/agentId', 'required', 'Name the agent by its DID in agentId, agent_did, AgentId or scope.')
  }
  if (other !== undefined) throw refuse(`/${named[1]?.name ?? 'scope'}`, 'conflict', 'Two DIDs are named; send one.')
  return did
}

const hasZone = /(Z|[+-]\d{2}:?\d{2})$/i

/** RFC 3339 UTC. Python may leave the zone away and means UTC; Rust sends seconds. Not a time: undefined. */
const timeOf = (value: unknown): string | undefined => {
  let ms = Number.NaN
  if (typeof value === 'number') ms = value < 1e11 ? value * 1000 : value
  else if (typeof value === 'string') ms = Date.parse(hasZone.test(value) ? value : `${value}Z`)
  return Math.abs(ms) <= 8.64e15 ? new Date(ms).toISOString() : undefined
}

/** What fits of the rest, first come first kept: evidence must never be why a kill is refused. */
const bounded = (rest: Members): Members | undefined => {
  const kept: Record<string, unknown> = {}
  const omitted: string[] = []
  let size = 2
  for (const [name, value] of Object.entries(rest)) {
    const cost = Buffer.byteLength(canonical({ [name]: value }))
    if (size + cost <= MAX_DETAILS - OMITTED_BYTES) {
      kept[name] = value
      size += cost
    } else if (omitted.length < MAX_OMITTED) omitted.push(name.slice(0, 32))
  }
  if (omitted.length > 0) kept.omitted = omitted
  return Object.keys(kept).length > 0 ? kept : undefined
}

const without = (from: Members, names: readonly string[]): Members =>
  Object.fromEntries(Object.entries(from).filter(([name]) => !names.includes(name)))

/** What is said of a kill beside its target. */
export type Report = Omit<KillInput, 'did'>

/** @throws BridgeError E_VALIDATION a switch being cleared */
export const parseReport = (body: Members, targets: readonly string[]): Report => {
  const nested = body.event ?? body.Event
  const event = isMembers(nested) ? nested : {}
  if (body.active === false || event.active === false) {
    const hint = 'A cleared switch is no kill. Release the hold with POST /v1/agents/{did}/holds/{holdId}/release.'
    throw refuse(body.active === false ? '/active' : '/event/active', 'invalid_value', hint)
  }
  const all = { ...event, ...without(body, ['event', 'Event', 'scope', 'Scope', 'kind', 'value', 'active']) }
  const reason = firstText(all, reasonNames)
  const words = firstText(all, wordsNames)
  const said = reason === undefined || words === undefined ? (reason ?? words) : `${reason}: ${words}`
  const action = firstText(all, actionNames)
  const inResponseTo = firstText(all, answerNames)
  const time = given(all, timeNames)
    .map(({ name, value }) => ({ name, at: timeOf(value) }))
    .find(({ at }) => at !== undefined)

  const used = [...targets, ...reasonNames, ...actionNames, ...answerNames, 'active']
  const spoken = wordsNames.filter((name) => typeof all[name] === 'string' || all[name] === null)
  const details = bounded(without(all, [...used, ...spoken, ...(time === undefined ? [] : [time.name])]))
  return {
    reason: (said ?? 'no reason given').slice(0, MAX_REASON),
    ...(action === undefined ? {} : { action: action.slice(0, MAX_REASON) }),
    ...(time?.at === undefined ? {} : { killedAt: time.at }),
    ...(inResponseTo === undefined ? {} : { inResponseTo }),
    ...(details === undefined ? {} : { details }),
  }
}

/**
 * One kill, as any AGT SDK spells its result: TypeScript `KillSwitchResult`, Python `KillResult`, .NET `KillEvent`, Go
 * and Rust history items `{ scope, event }`. What it does not know is kept as `details`, up to 8 KiB.
 * @throws BridgeError E_VALIDATION no DID, two DIDs, a scope that is not one agent, or a switch being cleared
 */
export const parseKill = (body: Members): KillInput => ({
  did: didOf(body),
  ...parseReport(body, didNames),
})

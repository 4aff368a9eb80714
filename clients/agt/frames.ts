import { AgtClientError } from './errors.ts'
import type { SseEvent } from './sse.ts'

/** `<generation>-<seq>`: positions of different generations cannot be compared. */
export interface Position {
  readonly generation: string
  readonly seq: number
}

export interface HoldFrame {
  readonly holdId: string
  readonly severity: string
  readonly origin: string | undefined
}

/** Everything that holds one agent, and its other spellings. */
export interface HeldFrame {
  readonly holds: readonly HoldFrame[]
  readonly aliases: readonly string[]
}

export type Frame = { readonly position: Position } & (
  | { readonly type: 'suspended'; readonly did: string; readonly aliases: readonly string[]; readonly hold: HoldFrame }
  | { readonly type: 'resumed'; readonly did: string; readonly aliases: readonly string[] }
  | { readonly type: 'snapshot'; readonly held: ReadonlyMap<string, HeldFrame> }
  | { readonly type: 'current' }
  | { readonly type: 'other' }
)

export const textOf = ({ generation, seq }: Position): string => `${generation}-${seq}`

export const parsePosition = (text: string): Position | undefined => {
  const [, generation, seq] = /^([A-Za-z0-9]+)-(\d{1,15})$/.exec(text) ?? []
  return generation === undefined || seq === undefined ? undefined : { generation, seq: Number(seq) }
}

export type Members = Readonly<Record<string, unknown>>
export const isMembers = (value: unknown): value is Members =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

export const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const unreadable = (event: string) =>
  new AgtClientError('E_FRAME', `An event of type ${event.slice(0, 40)} is not understood; the stream is opened anew.`)

const holdOf = (value: unknown): HoldFrame | undefined => {
  if (!isMembers(value)) return undefined
  const { holdId, severity, origin } = value
  if (typeof holdId !== 'string' || typeof severity !== 'string') return undefined
  return { holdId, severity, origin: typeof origin === 'string' ? origin : undefined }
}

/** Left out when there are none. Anything else but a list of texts is not understood: an agent might go unstopped. */
const aliasesOf = (value: unknown): readonly string[] | undefined => {
  if (value === undefined) return []
  if (!Array.isArray(value)) return undefined
  const texts: readonly unknown[] = value
  const aliases = texts.filter((one) => typeof one === 'string')
  return aliases.length === texts.length ? aliases : undefined
}

const heldOf = (value: unknown): Map<string, HeldFrame> | undefined => {
  if (!Array.isArray(value)) return undefined
  const held = new Map<string, HeldFrame>()
  for (const one of value) {
    if (!isMembers(one) || typeof one.did !== 'string' || !Array.isArray(one.holds)) return undefined
    const holds = one.holds.map(holdOf).filter((hold) => hold !== undefined)
    // Half a snapshot would open gates.
    const aliases = aliasesOf(one.aliases)
    if (holds.length === 0 || holds.length !== one.holds.length || aliases === undefined) return undefined
    held.set(one.did, { holds, aliases })
  }
  return held
}

/**
 * One event as the client understands it. An event of a kind that came later is `other`: it only moves the position.
 * @throws AgtClientError E_FRAME a kind we know in a shape we do not: guessing could open a gate
 */
export const frameOf = ({ id, event, data }: SseEvent): Frame => {
  const position = parsePosition(id)
  if (position === undefined) throw unreadable(event)
  if (event === 'current') return { position, type: 'current' }
  const body = parsed(data)
  if (event !== 'suspended' && event !== 'resumed' && event !== 'snapshot') return { position, type: 'other' }
  if (!isMembers(body)) throw unreadable(event)
  if (event === 'snapshot') {
    const held = heldOf(body.held)
    if (held === undefined) throw unreadable(event)
    return { position, type: 'snapshot', held }
  }
  const { did } = body
  const aliases = aliasesOf(body.aliases)
  if (typeof did !== 'string' || aliases === undefined) throw unreadable(event)
  if (event === 'resumed') return { position, type: 'resumed', did, aliases }
  const hold = holdOf(body)
  if (hold === undefined) throw unreadable(event)
  return { position, type: 'suspended', did, aliases, hold }
}

import type { LogEntry } from '../../src/core/adapter.ts'
import type { Confirmation } from '../../src/core/confirm.ts'
import type { Account, AccountState, Hold, Sighting, Switch } from '../../src/core/types.ts'

/**
 * The model's only unit of time. Settle, the write timeout and the time between two confirming reads are one tick each;
 * the clock skew allowed for a log (300 s) is one and a half, the drift window (600 s) three. Everything between two
 * ticks bears the same time: the core must be right however close in time two things are.
 */
export const tickMs = 200_000
export const settleMs = tickMs
export const writeTimeoutMs = tickMs
export const startMs = 1_000 * tickMs
export const longAgo = startMs - 10 * tickMs

export const spendings = [
  'flips',
  'kills',
  'suspends',
  'overrides',
  'crashes',
  // Writes: never arrived, carried out, under way for long (each without an answer); refused; without a proving read.
  'dropped',
  'lost',
  'late',
  'refused',
  'unread',
  // A call, read or question that takes until the next tick.
  'slow',
  // A read that says what was before.
  'stale',
  // The log without its latest entries.
  'behind',
] as const
export type Spending = (typeof spendings)[number]

/** What is searched: the shape of the fleet, the policy, and how often the environment may do what. */
export interface Config {
  readonly name: string
  /** Too wide for every day: searched with `--deep` only. */
  readonly isDeep: boolean
  /** The DID of each account, as an index; a DID with a higher index is a child of DID 0. */
  readonly accounts: readonly number[]
  readonly hasLog: boolean
  /** A second switch that the bridge cannot write. */
  readonly vendor: boolean
  /** Accounts are deleted and restored, too. */
  readonly deletes: boolean
  /** Account 1 lies in the same directory and is off whenever account 0 is. */
  readonly via: boolean
  readonly resume: 'approval' | 'automatic'
  readonly drift: 'reassert' | 'accept'
  /** Suspensions seen may be held back by the guard. */
  readonly guard: boolean
  readonly mode: 'both' | 'inbound' | 'outbound'
  /** The directory's clock against ours, in ticks. */
  readonly skew: -1 | 0 | 1
  /** Each account was switched on against a hold this often just now. */
  readonly drifts: number
  /** Calls, reads and log questions under way at once, over all accounts. */
  readonly inFlight: number
  /** Between two confirming reads: none, to tell old readings from too soon ones. */
  readonly confirmTicks: 0 | 1
  readonly budget: Readonly<Record<Spending, number>>
}

export interface Call {
  readonly intent: 'disable' | 'enable'
  readonly first: boolean
  /** On behalf of somebody whose disable we undid. */
  readonly behalf: boolean
  readonly phase: 'recorded' | 'answered'
  readonly recordedAt: number
  readonly outcome: 'done' | 'refused' | 'lost' | 'unsent'
  readonly before: Sighting | undefined
}

/** A question to the log: its answer on the way, or the proof it gave, not acted on yet. */
export interface Ask {
  readonly begunAt: number
  readonly proven: boolean
  readonly entries: readonly LogEntry[]
  readonly completeUntil: number
}

export type Cause = 'disabled' | 'deleted' | 'unproven'

/** One account: the stored row, what the process remembers, and the directory's side. */
export interface Side {
  // The store's
  readonly account: Account
  readonly own: Hold | undefined
  readonly cause: Cause
  // The process's; a crash takes them
  readonly call: Call | undefined
  readonly ask: Ask | undefined
  readonly readBegunAt: number | undefined
  readonly confirmation: Confirmation | undefined
  // The directory's
  readonly on: boolean
  readonly onChangedAt: number | undefined
  /** The last to switch it on was us. */
  readonly onByUs: boolean
  readonly vendorOff: boolean
  readonly vendorChangedAt: number | undefined
  readonly gone: boolean
  /** The change feed has not told of the last change yet. */
  readonly dirty: boolean
  readonly log: readonly LogEntry[]
  readonly late: { readonly intent: 'disable' | 'enable'; readonly sentAt: number } | undefined
  // What an onlooker knows: who turned our switch off the last time
  readonly lastOff: 'nobody' | 'us' | 'admin'
  /** The last that an administrator did to our switch was to turn it off, and nobody overrode that. */
  readonly adminOff: boolean
  /** Acknowledged, and nothing happened since that would call for the same write again. */
  readonly acked: boolean
}

/** The holds of one DID that are not of directory origin. */
export interface Agent {
  readonly kill: Hold | undefined
  readonly suspend: Hold | undefined
  readonly cascade: Hold | undefined
  /** What a runtime with only the stream believes. */
  readonly told: boolean
}

export interface State {
  readonly now: number
  readonly budget: Readonly<Record<Spending, number>>
  readonly agents: readonly Agent[]
  readonly sides: readonly Side[]
}

export const didOf = (agent: number): string => `did:mesh:${agent}`
export const idOf = (side: number): string => `a${side}`

const free: Agent = { kill: undefined, suspend: undefined, cascade: undefined, told: false }

export const initial = (config: Config, fresh: Account): State => {
  const account: Account = {
    ...fresh,
    observed: 'enabled',
    observedAt: startMs - 20 * tickMs,
    drifts: Array.from({ length: config.drifts }, () => startMs),
  }
  const side: Side = {
    account,
    own: undefined,
    cause: 'disabled',
    call: undefined,
    ask: undefined,
    readBegunAt: undefined,
    confirmation: undefined,
    on: true,
    onChangedAt: undefined,
    onByUs: false,
    vendorOff: false,
    vendorChangedAt: undefined,
    gone: false,
    dirty: false,
    log: [],
    late: undefined,
    lastOff: 'nobody',
    adminOff: false,
    acked: false,
  }
  return {
    now: startMs,
    budget: config.budget,
    agents: Array.from({ length: Math.max(...config.accounts) + 1 }, () => free),
    sides: config.accounts.map(() => side),
  }
}

export type Off = 'on' | 'off'

export const switchesOf = (config: Config, side: number, ours: Off, vendor: Off, via: Off): Switch[] => {
  const list: Switch[] = [{ name: 'identity', state: ours, ours: true }]
  if (config.vendor) list.push({ name: 'vendor', state: vendor, ours: false })
  if (config.via && side === 1) list.push({ name: 'parent', state: via, ours: false, via: idOf(0) })
  return list
}

export const readingOf = (
  id: string,
  switches: readonly Switch[] | AccountState,
  byId: boolean,
  begunAt: number,
  conjunction: (switches: readonly Switch[]) => AccountState,
): Sighting => {
  if (typeof switches === 'string') return { id, kind: undefined, state: switches, switches: [], byId, begunAt }
  return { id, kind: 'account', state: conjunction(switches), switches, byId, begunAt }
}

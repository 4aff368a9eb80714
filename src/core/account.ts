import type { Account, AccountState, Hold, Severity, Sighting, Switch } from './types.ts'

/** A principal that was never read and that we never touched. */
export const freshAccount: Account = {
  observed: 'unknown',
  observedAt: undefined,
  offReadAt: undefined,
  switches: [],
  dependsOn: undefined,
  mark: 'none',
  claimedAt: undefined,
  sentAt: undefined,
  intent: undefined,
  inFlightUntil: undefined,
  disabledAckAt: undefined,
  enabledAckAt: undefined,
  foreignSeenAt: undefined,
  drifts: [],
  contested: false,
  overriddenAt: undefined,
  liftedFrom: undefined,
  putBack: false,
  offUntil: undefined,
  examinedUntil: undefined,
  copiedAt: undefined,
  driftAcceptedAt: undefined,
  readDueAt: undefined,
  readAgainAt: undefined,
  attempts: 0,
  lastError: undefined,
}

/** What the mirror must know beside the account itself to decide. */
export interface Context {
  readonly now: number
  /** How long the directory may answer with old state after a write. */
  readonly settleMs: number
  readonly writeTimeoutMs: number
  /** We may write this principal: mirror mode and the adapter's features allow it. */
  readonly writes: boolean
  /** What is seen in the directory may become a hold. */
  readonly inbound: boolean
  /** The directory keeps a log of who changed what. */
  readonly hasLog: boolean
  /** How far back the log reaches, ms. */
  readonly logReachMs?: number | undefined
  /** The account follows another, and the log tells provisioning from people: copies are looked up in it. */
  readonly copyLog?: boolean
  /** A reading of this account that says off shows a copy of what it follows (rule 15). Asked for readings only. */
  readonly copied?: boolean
  readonly drift: 'reassert' | 'accept'
  /** The principal's own open hold. */
  readonly own: Hold | undefined
  /** Every other open hold of the DID. Of a shared account those of all its DIDs, when all are held (`shared.ts`). */
  readonly others: readonly Hold[]
  /** Of a shared account: some of its DIDs have no own hold of it. */
  readonly ownMissing?: boolean
}

const ranks: Record<Severity, number> = { suspend: 0, kill: 1, disable: 2, decommission: 3 }

export const moreSevere = (a: Severity, b: Severity): boolean => ranks[a] > ranks[b]

export const highestSeverity = (holds: readonly Pick<Hold, 'severity'>[]): Severity | undefined =>
  holds.reduce<Severity | undefined>(
    (top, { severity }) => (top === undefined || moreSevere(severity, top) ? severity : top),
    undefined,
  )

/** Holds that may cause a write: what the guard keeps back decides `deny`, but moves nothing yet. */
export const driving = (context: Context): readonly Hold[] => context.others.filter((hold) => !hold.guarded)

/** The own hold says that somebody else keeps it off. One that only waits for people to release it does not any more. */
export const isTheirs = ({ own }: Context): boolean => own !== undefined && own.releasableAt === undefined

export const ourSwitch = (switches: readonly Switch[]): Switch['state'] =>
  switches.find((one) => one.ours)?.state ?? 'unknown'

/** Switches that somebody else holds off. */
export const switchesOfOthers = (switches: readonly Switch[]): readonly string[] =>
  switches.filter((one) => !one.ours && one.state === 'off').map((one) => one.name)

/** Conjunction of the switches (DESIGN §2): off beats unknown beats on. */
export const conjunction = (switches: readonly Switch[]): AccountState => {
  if (switches.some((one) => one.state === 'off')) return 'disabled'
  return switches.length > 0 && switches.every((one) => one.state === 'on') ? 'enabled' : 'unknown'
}

/** Drops what belonged to our claim; what was seen and what is in flight stays. */
export const unmarked = (account: Account): Account => ({
  ...account,
  mark: 'none',
  claimedAt: undefined,
  sentAt: undefined,
  disabledAckAt: undefined,
  examinedUntil: undefined,
  copiedAt: undefined,
  attempts: 0,
})

/** A claim of which nothing was sent yields to somebody else's switch. */
export const unsentDropped = (account: Account): Account =>
  account.mark === 'claimed' && account.sentAt === undefined ? unmarked(account) : account

/** Claims the switch: to be committed before anything is sent. */
export const claimed = (account: Account, now: number): Account => ({
  ...unmarked(account),
  mark: 'claimed',
  claimedAt: now,
  contested: false,
  driftAcceptedAt: undefined,
})

/**
 * A wall clock that was set back leaves times of the future behind. They count as now, and a write that would be in
 * flight for longer than any can be is not: every comparison with them would otherwise wait for the clock to catch up.
 */
export const rebased = (account: Account, context: Pick<Context, 'now' | 'settleMs' | 'writeTimeoutMs'>): Account => {
  const { now } = context
  const past = (at: number | undefined) => (at === undefined ? undefined : Math.min(at, now))
  const { offReadAt } = account
  const until = account.inFlightUntil
  return {
    ...account,
    // Counted as now it would prove what nobody has read yet.
    offReadAt: offReadAt !== undefined && offReadAt > now ? undefined : offReadAt,
    claimedAt: past(account.claimedAt),
    sentAt: past(account.sentAt),
    disabledAckAt: past(account.disabledAckAt),
    enabledAckAt: past(account.enabledAckAt),
    foreignSeenAt: past(account.foreignSeenAt),
    offUntil: past(account.offUntil),
    examinedUntil: past(account.examinedUntil),
    copiedAt: past(account.copiedAt),
    overriddenAt: past(account.overriddenAt),
    liftedFrom: past(account.liftedFrom),
    driftAcceptedAt: past(account.driftAcceptedAt),
    drifts: account.drifts.filter((at) => at <= now),
    inFlightUntil:
      until !== undefined && until > now + context.writeTimeoutMs + context.settleMs ? now - 1 : account.inFlightUntil,
  }
}

export const saw = (account: Account, sighting: Sighting): Account => ({
  ...account,
  observed: sighting.state,
  observedAt: sighting.begunAt,
  offReadAt: offReadAt(account, sighting),
  switches: sighting.switches,
  dependsOn: sighting.dependsOn ?? account.dependsOn,
  offUntil: sighting.state === 'enabled' && isOff(account) ? sighting.begunAt : account.offUntil,
  lastError: undefined,
})

const offReadAt = (account: Account, { state, byId, begunAt }: Sighting): number | undefined => {
  if (state === 'enabled') return undefined
  return byId && (state === 'disabled' || state === 'absent') ? begunAt : account.offReadAt
}

export const isOff = ({ observed }: Account): boolean => observed === 'disabled' || observed === 'absent'

/**
 * A read by id begun after this, which says off, proves that the account is off for a hold placed then: what the
 * directory answers may be `settle` old, and so must be younger than the hold and than every answer to a write of ours.
 */
export const provesAfter = (account: Account, placedAt: number, settleMs: number): number =>
  Math.max(placedAt, account.disabledAckAt ?? 0, account.enabledAckAt ?? 0) + settleMs

/** We turned it off, or may have: a read that says so is an echo. */
export const offByUs = ({ mark, sentAt }: Account): boolean =>
  mark === 'ours' || (mark === 'claimed' && sentAt !== undefined)

/** Turned off by us or on its way there or back: what depends on this account sees our own doing. */
export const echoes = (account: Account, begunAt: number, settleMs: number): boolean => {
  if (offByUs(account)) return true
  return account.enabledAckAt !== undefined && begunAt <= account.enabledAckAt + settleMs
}

/** The reading without the switches that are other accounts which we turned off ourselves (I4: no echo becomes a hold). */
export const withoutEchoes = (sighting: Sighting, isEcho: (id: string) => boolean): Sighting => {
  const switches = sighting.switches.filter((one) => one.via === undefined || one.state !== 'off' || !isEcho(one.via))
  return switches.length === sighting.switches.length
    ? sighting
    : { ...sighting, switches, state: conjunction(switches) }
}

/** The words of DESIGN §2 as types. Times are milliseconds since the Unix epoch unless a name says otherwise. */

/** Opaque, compared byte by byte; see `did.ts` for what is accepted. */
export type Did = string
/** Immutable id of an account in its directory. */
export type PrincipalId = string

export interface PrincipalKey {
  readonly adapter: string
  readonly id: PrincipalId
}

export type Severity = 'suspend' | 'kill' | 'disable' | 'decommission'
/** `runtime:<client>`, `adapter:<name>/<principal id>`, `operator:<client>`, `cascade:<ancestor did>`, `policy:<rule>`. */
export type Origin = `${'runtime' | 'adapter' | 'operator' | 'cascade' | 'policy'}:${string}`

export interface Hold {
  readonly id: string
  readonly did: Did
  readonly origin: Origin
  readonly severity: Severity
  readonly reason: string
  /** What gateways and agents may see; undefined when nothing was said for them. */
  readonly publicReason: string | undefined
  /** Authenticated client, or `directory` / `bridge` for what we derived. */
  readonly actor: string
  readonly onBehalfOf: string | undefined
  readonly placedAt: number
  readonly releasedAt: number | undefined
  /** Set when an own hold's account reads enabled, confirmed, and the release waits for a person (policy.resume or the guard). */
  readonly releasableAt: number | undefined
  /** While the adapter's guard is tripped: decides `deny`, but writes to other directories and signals wait. */
  readonly guarded: boolean
  readonly evidence: Readonly<Record<string, unknown>>
}

/** Our claim on one principal's switch, DESIGN §3. Only `ours` lets us enable. */
export type Mark = 'none' | 'claimed' | 'ours' | 'lifted'
/** What a read said. `unknown`: failed, forbidden, throttled or never read; never taken as enabled or disabled (I8). */
export type AccountState = 'enabled' | 'disabled' | 'absent' | 'unknown'

export interface Switch {
  /** Short stable name, e.g. `identity`, `blueprint`, `vendor`. */
  readonly name: string
  readonly state: 'on' | 'off' | 'unknown'
  /** The one we write. Exactly one switch of a sighting is. */
  readonly ours: boolean
  /** Id of the other account whose state this switch is, when it could itself be mapped: turned off by us, it is an echo. */
  readonly via?: string | undefined
}

/** One reading of one account. `byId` tells an authoritative read by id from a row of a listing or feed. */
export interface Sighting {
  readonly id: PrincipalId
  readonly kind: string | undefined
  readonly state: AccountState
  readonly switches: readonly Switch[]
  readonly byId: boolean
  /** When the read was begun. */
  readonly begunAt: number
  readonly appId?: string | undefined
  readonly displayName?: string | undefined
  /** Another directory object that also switches this account (Entra: the blueprint principal); a change there re-reads all that name it. */
  readonly dependsOn?: string | undefined
}

export type MirrorMode = 'both' | 'inbound' | 'outbound' | 'observe'

export interface Sponsor {
  readonly email?: string | undefined
  readonly objectId?: string | undefined
}

export type Labels = Readonly<Record<string, string>>

export interface Agent {
  readonly did: Did
  readonly name: string
  readonly sponsor: Sponsor | undefined
  readonly blueprint: string | undefined
  readonly parentDid: Did | undefined
  readonly labels: Labels
  readonly decommissioned: boolean
  readonly createdAt: number
  readonly updatedAt: number
  readonly revision: number
  readonly lastActivity: number | undefined
  /** When the DID's last open hold was last released; tokens issued before stay refused. */
  readonly resumedAt: number | undefined
}

/**
 * A directory account mapped to a DID, with the state of its mirror. A shared one belongs to several DIDs: read by DID it
 * carries that DID, its appId and its scopes; read in any other way `did` is only one of them and attributes nothing.
 */
export interface Principal extends PrincipalKey {
  readonly did: Did
  /** Registered as `shared` by each of its DIDs (rule 16). The account, its mark and its schedule are one all the same. */
  readonly shared: boolean
  readonly kind: string
  readonly appId: string | undefined
  readonly scopes: readonly string[]
  readonly mappedAt: number
  readonly account: Account
}

/** One DID of a shared principal, with what it registered. */
export interface Sharer {
  readonly did: Did
  readonly appId: string | undefined
  readonly scopes: readonly string[]
  readonly mappedAt: number
}

/** The mirror's whole knowledge of one principal's switch. Pure data: `mirror.ts` maps it to the next one. */
export interface Account {
  readonly observed: AccountState
  /** Begin of the last read that told a state; undefined until the first. */
  readonly observedAt: number | undefined
  /** Begin of the last read by id that said off or absent; undefined once a later reading said on. Listings never set it. */
  readonly offReadAt: number | undefined
  readonly switches: readonly Switch[]
  readonly dependsOn: string | undefined
  readonly mark: Mark
  /** When the present claim was committed. */
  readonly claimedAt: number | undefined
  /** When our last write under this claim was sent; undefined: nothing sent. Recorded before sending. */
  readonly sentAt: number | undefined
  /** What is (or may be) on the wire. */
  readonly intent: 'disable' | 'enable' | undefined
  /** A lost answer counts as in flight until here; then a by-id read comes first. */
  readonly inFlightUntil: number | undefined
  /** When a disable of ours was last acknowledged. */
  readonly disabledAckAt: number | undefined
  /**
   * When an enable of ours was last acknowledged, or the account was seen on after we had turned it off: within settle
   * a read that says off may show our own old disable, and is unknown.
   */
  readonly enabledAckAt: number | undefined
  /** Begin of the last read that showed somebody else's switch off. */
  readonly foreignSeenAt: number | undefined
  /** Times of drift re-asserted within the window. */
  readonly drifts: readonly number[]
  readonly contested: boolean
  /** Own hold was overridden: no new one until read enabled once or a newer disable is logged. */
  readonly overriddenAt: number | undefined
  /** Our enable closed a window that began here: the log is read once more for a foreign disable in it. */
  readonly liftedFrom: number | undefined
  /** Such a disable was found: switch off once more on its behalf, without claiming it. */
  readonly putBack: boolean
  /** Until when it was off, or may have been: begin of the first reading that said on after one that did not. */
  readonly offUntil: number | undefined
  /** Up to here the directory's log was looked through: for our claim, or for who switched off a copy. */
  readonly examinedUntil: number | undefined
  /** Begin of the reading that said off and was taken for a copy of the account that this one follows (rule 15). */
  readonly copiedAt: number | undefined
  /** policy.drift accept: left on for holds placed before this. */
  readonly driftAcceptedAt: number | undefined
  /** A read by id is wanted from here on; done when one is begun at or after it. */
  readonly readDueAt: number | undefined
  /** A second one, after settle: becomes `readDueAt` when the first is done. */
  readonly readAgainAt: number | undefined
  readonly attempts: number
  readonly lastError: string | undefined
}

export interface CapabilitySource {
  readonly did: Did
  readonly capability: string
  /** `manual`, `blueprint:<name>`, `group:<adapter>/<group id>`, `delegation:<parent>`. */
  readonly source: string
  readonly confirmedAt: number
}

export interface Release {
  readonly id: string
  readonly holdId: string
  readonly did: Did
  /** `release`: the origin's own kill. `override`: somebody else's hold. `approve`: a hold that became releasable. */
  readonly kind: 'release' | 'override' | 'approve'
  readonly requestedBy: string
  readonly requestedAt: number
  readonly reason: string
  readonly status: 'awaiting' | 'done' | 'void'
}

export interface Signal {
  readonly seq: number
  readonly type: 'suspended' | 'resumed' | 'capabilities'
  readonly did: Did
  readonly at: number
  readonly holdId: string | undefined
  readonly severity: Severity | undefined
  readonly origin: string | undefined
  readonly reason: string | undefined
  readonly capabilities: readonly string[] | undefined
  /** Other spellings of the DID, as they were when it was told. */
  readonly aliases: readonly Did[]
}

export type NewSignal = Omit<Signal, 'seq' | 'aliases'>

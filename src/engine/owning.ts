import { type Context, switchesOfOthers } from '../core/account.ts'
import type { LogEntry } from '../core/adapter.ts'
import { ownOrigin } from '../core/holds.ts'
import type { Outcome } from '../core/mirror.ts'
import type { Account, Did, Hold, PrincipalKey } from '../core/types.ts'
import type { Change } from './change.ts'
import type { Mount } from './deps.ts'
import { withdrawCopies } from './following.ts'
import { guardSeen } from './guarding.ts'
import { notReleasable, placeHold, unguard } from './placing.ts'
import { mendText, reasonText } from './reasons.ts'
import { ownHolds } from './sharing.ts'

/** Somebody else wants it off: each of its DIDs is held for it, and none waits to be approved any more. */
export const placeOwn = async (
  c: Change,
  mount: Mount,
  key: PrincipalKey,
  before: Account,
  outcome: Outcome,
  context: Context,
  entry: LogEntry | undefined,
): Promise<void> => {
  const principal = await c.tx.principal(key)
  if (principal === undefined) return
  const owns: { did: Did; own: Hold | undefined }[] = []
  for (const { did, own } of await ownHolds(c.tx, principal, context.own)) {
    owns.push({ did, own: own && (await told(c, own, entry)) })
  }
  const missing = owns.filter(({ own }) => own === undefined).map(({ did }) => did)
  const waiting = owns.flatMap(({ own }) => (own?.releasableAt === undefined ? [] : [own]))
  const [first, ...rest] = [...missing, ...waiting.map(({ did }) => did)]
  if (first === undefined) return
  // A first sighting is no change, and what is only unproven was turned off by us or long ago.
  const changed = before.observedAt !== undefined && outcome.reason !== 'unproven'
  const guarded = changed && (await guardSeen(c, mount, 'suspend', first, rest))
  for (const own of waiting) await offAgain(c, own, guarded)
  for (const did of missing) await placeOwnOn(c, key, did, outcome, guarded, entry)
  if (missing.length === 0) return
  await withdrawCopies(c, mount, { key, before, since: entry?.at })
  const lag = outcome.account.observedAt
  if (lag !== undefined) {
    c.deps.metrics.observe(
      'suspension_propagation_seconds',
      { from: key.adapter, to: 'hold' },
      Math.max(0, c.now - lag) / 1000,
    )
  }
  if (context.others.length === 0)
    c.deps.log.info({ dids: missing, ...key, cause: outcome.reason }, 'account is off: agent held')
}

export const placeOwnOn = async (
  c: Change,
  key: PrincipalKey,
  did: Did,
  { account, evidence, reason = 'disabled' }: Pick<Outcome, 'account' | 'evidence' | 'reason'>,
  guarded: boolean,
  entry?: LogEntry,
): Promise<void> => {
  const others = switchesOfOthers(account.switches)
  const hold = await placeHold(c, {
    did,
    origin: ownOrigin(key.adapter, key.id),
    severity: 'suspend',
    reason: reasonText(reason, key),
    publicReason: 'The directory account is disabled.',
    guarded,
    evidence: {
      cause: reason,
      observedAt: account.observedAt ?? c.now,
      switches: account.switches,
      ...(others.length > 0 && { byOthers: others }),
      ...(entry !== undefined && { by: entry.actor, at: entry.at }),
      ...evidence,
    },
  })
  if (reason !== 'unproven') return
  await c.tx.saveHold({ ...hold, evidence: { ...hold.evidence, mend: mendText(hold, key) } })
}

/** It stands for what the log tells from now on, whatever it was placed for: whoever looks at it must know. */
const told = async (c: Change, own: Hold, entry: LogEntry | undefined): Promise<Hold> => {
  if (entry === undefined) return own
  const hold = { ...own, evidence: { ...own.evidence, by: entry.actor, at: entry.at } }
  await c.tx.saveHold(hold)
  return hold
}

/** Off again before anyone released it: what was kept back may have to be kept back no longer. */
const offAgain = async (c: Change, own: Hold, guarded: boolean): Promise<void> => {
  await notReleasable(c, own)
  if (own.guarded && !guarded) await unguard(c, { ...own, releasableAt: undefined })
}

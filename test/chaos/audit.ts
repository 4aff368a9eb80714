import { verifyAudit } from '../../src/engine/auditing.ts'
import { openStoreReadonly } from '../../src/store/index.ts'
import { at } from '../e2e/json.ts'
import type { Play } from './actions.ts'

const operators: readonly string[] = ['alice', 'bob', 'carol']
/** A reading may be that much older than what follows from it: lag, replica, a pass that was slow, a restart. */
const lookBackMs = 120_000

const claimedBy = (details: unknown): readonly string[] => {
  const claimed = at(details, 'claimed')
  return Array.isArray(claimed) ? claimed.map((one) => String(at(one, 'id'))) : []
}

/** What the chain tells of every hold, when the daemon has stopped: I3, I4 and I7. */
export const checkAudit = async (play: Play, database: string): Promise<void> => {
  const { journal, truth } = play
  const wasPlayed = (...faults: readonly string[]) => faults.some((one) => journal.counts.has(`fault ${one}`))
  // A wrong clock of the daemon makes the times of its entries incomparable with ours.
  const clockWasOff = wasPlayed('daemon-clock')
  const logWasOff = clockWasOff || wasPlayed('clock-ahead', 'clock-behind')
  const store = await openStoreReadonly(`sqlite:${database}`)
  try {
    const verdict = await verifyAudit(store)
    journal.check('I7', verdict.ok, () => `the chain does not verify: ${JSON.stringify(verdict.fault)}`, [])
    const entries = await store.audit({ limit: 10_000_000 })
    const placed = new Map<string, (typeof entries)[number]>()
    const requested = new Map<string, string>()
    const holdsOf = new Map<string, number>()
    const marks = new Map<string, string>()
    const killed = new Set<string>()
    for (const entry of entries) {
      const { did = '', hold = '', type, details, actor, time } = entry
      const origin = String(at(details, 'origin') ?? '')
      const about = [did, hold, origin.slice(origin.indexOf('/') + 1)]
      journal.note(
        'audit',
        [did, hold],
        `${new Date(time).toISOString()} ${type} by ${actor} ${JSON.stringify(details)}`,
      )
      for (const one of claimedBy(details)) marks.set(one, 'claimed')
      if (type.startsWith('account.')) marks.set(entry.principals?.[0]?.id ?? '', String(at(details, 'to')))
      if (type === 'kill.recorded') {
        const reason = entry.text?.reason ?? ''
        journal.check('I4', !killed.has(reason), () => `a kill of many was recorded twice: ${reason}`, about)
        killed.add(reason)
      }
      if (type === 'release.requested') requested.set(hold, actor)
      if (type === 'hold.placed' || type === 'hold.released') holdsOf.set(did, (holdsOf.get(did) ?? 0) + 1)
      if (type === 'hold.placed') {
        journal.check('I7', !placed.has(hold), () => `${hold} was placed twice`, about)
        placed.set(hold, entry)
        const id = /^adapter:[^/]+\/(.+)$/.exec(origin)?.[1]
        const isUnproven = entry.text?.reason?.includes('nothing proves') === true
        if (isUnproven) journal.count('own holds unproven')
        if (isUnproven) {
          journal.check('I9', logWasOff, () => `${origin} is unproven though every clock was right`, about)
        } else if (id !== undefined && !clockWasOff) {
          const foreign = truth.was(id, 'foreign', time - lookBackMs, time + 1000)
          journal.check(
            'I4',
            foreign,
            () => `an own hold, though nobody but the bridge had switched ${origin} off`,
            about,
          )
        }
      }
      if (type !== 'hold.released') continue
      const first = placed.get(hold)
      journal.check('I7', first !== undefined, () => `${hold} was released and never placed, or twice`, about)
      if (first === undefined) continue
      placed.delete(hold)
      const how = String(at(details, 'how') ?? 'derived')
      const severity = at(first.details, 'severity')
      const first2 = requested.get(hold) ?? ''
      const two = operators.includes(actor) && actor !== first2 && ![actor, first2].includes(first.actor)
      const id = origin.slice(origin.indexOf('/') + 1)
      // Under a claim of ours somebody's own flips look like ours until the log is read, after the last release.
      const isClaimed = ['claimed', 'ours'].includes(marks.get(id) ?? '')
      const wasFree = clockWasOff || isClaimed || truth.was(id, 'free', first.time - 5000, time + 1000)
      const allowed: Readonly<Record<string, boolean>> = {
        origin: severity === 'suspend' && (origin === `runtime:${actor}` || origin === `operator:${actor}`),
        release: two,
        override: two,
        approve: two && wasFree,
        confirmed: origin.startsWith('adapter:') && wasFree,
        'guard-approved': origin.startsWith('adapter:') && wasFree,
        derived: origin.startsWith('cascade:'),
      }
      journal.check(
        'I3',
        allowed[how] === true,
        () =>
          `${hold} of ${origin} (${String(severity)}, placed by ${first.actor}) ended: ${how} by ${actor}, asked for by ${first2}`,
        about,
      )
    }
    for (const { did, accounts } of play.members) {
      for (const { id } of accounts) {
        const writes = truth.written.get(id) ?? 0
        const causes = (holdsOf.get(did) ?? 0) + (truth.flips.get(id) ?? 0)
        journal.check('I4', writes <= 4 * causes + 10, () => `${writes} writes for ${causes} changes`, [did, id])
      }
    }
  } finally {
    await store.close()
  }
}

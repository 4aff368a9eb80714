import { parseDid } from '../core/did.ts'
import type { StoreReads } from '../core/store.ts'
import { onlyKeeps, pointsOf, type TrustReport, taken, trustOrigin, trustRule } from '../core/trust.ts'
import type { Agent, Did, Hold } from '../core/types.ts'
import type { Caller } from './agentapi.ts'
import { type Change, change } from './change.ts'
import type { Deps } from './deps.ts'
import { cascadeEnded } from './ending.ts'
import { mostAtOnce } from './fitting.ts'
import type { Keep } from './keeping.ts'
import { kinOf } from './kin.ts'
import { canonicalOf } from './naming.ts'
import { placeHold, releaseHold } from './placing.ts'
import type { TrustAnswer, TrustInput, TrustStatus } from './trustapi.ts'
import { within } from './views.ts'

/** Scores that one transaction takes in at most: other writers get their turn after it. */
const chunkScores = 50

/** What is known of the agents of some scores; kept up to date while these are taken in one by one. */
interface Scene {
  readonly agents: ReadonlyMap<Did, Agent>
  readonly reports: Map<Did, TrustReport[]>
  readonly holds: Map<Did, Hold>
}

const meantBy = (reads: StoreReads, items: readonly TrustInput[]): Promise<readonly Did[]> =>
  canonicalOf(
    reads,
    items.map(({ did }) => did),
  )

const sceneOf = async (reads: StoreReads, meant: readonly Did[]): Promise<Scene> => {
  const dids = [...new Set(meant)]
  const agents = new Map((await reads.agentsByDid(dids)).map((agent) => [agent.did, agent]))
  const reports = Map.groupBy(await reads.trustOf(dids), ({ did }) => did)
  const open = (await reads.openHoldsByDid(dids)).filter(({ origin }) => origin === trustOrigin)
  return { agents, reports, holds: new Map(open.map((hold) => [hold.did, hold])) }
}

const refusalOf = (agent: Agent | undefined, caller: Caller): Exclude<TrustStatus, 'ok' | 'stale'> | undefined => {
  if (agent === undefined) return 'unknown'
  if (!within(agent.labels, caller.labels)) return 'forbidden'
  return agent.decommissioned ? 'decommissioned' : undefined
}

/** What the caller itself said last. */
const lastOf = ({ reports }: Pick<Scene, 'reports'>, did: Did, { name }: Caller): TrustReport | undefined =>
  reports.get(did)?.find(({ client }) => client === name)

const answerOf = (scene: Scene, did: Did, status: TrustStatus, caller: Caller): TrustAnswer => {
  if (status !== 'ok' && status !== 'stale') return { did, status, score: undefined, hold: undefined }
  const last = lastOf(scene, did, caller)
  return { did, status, score: last && pointsOf(last), hold: scene.holds.get(did)?.id }
}

type Spend = (caller: Caller) => void

/** One request across its transactions. */
interface Course {
  readonly caller: Caller
  /** Pays for the hold of the item, once however often its transaction is run. False: the budget does not reach. */
  pay(item: TrustInput): boolean
  /** Why items were left out, from the first of them on. */
  refusal: unknown
}

const courseOf = (caller: Caller, spend: Spend): Course => {
  const paid = new Set<TrustInput>()
  const course: Course = {
    caller,
    refusal: undefined,
    pay: (item) => {
      if (paid.has(item)) return true
      // Asked again it would only be alerted again.
      if (course.refusal !== undefined) return false
      try {
        spend(caller)
        paid.add(item)
        return true
      } catch (error) {
        course.refusal = error
        return false
      }
    },
  }
  return course
}

/** Records scores and does what the policy asks for; see `TrustReports`. */
export const reportTrust = async (
  deps: Deps,
  items: readonly TrustInput[],
  caller: Caller,
  spend: Spend,
  keep?: Keep<readonly TrustAnswer[]>,
): Promise<TrustAnswer[]> => {
  for (const { did } of items) parseDid(did)
  const course = courseOf(caller, spend)
  const answers: TrustAnswer[] = []
  const lifted = new Set<Did>()
  for (let from = 0; from < items.length; ) {
    const chunk = items.slice(from, from + chunkScores)
    const part = await change(deps, { actor: caller.name, requestId: caller.requestId }, async (c) => {
      const done = await takeSome(c, chunk, course)
      const isLast = from + done.taken === items.length
      // Of a report that was not taken in whole nothing is kept: its repeat takes in the rest.
      if (isLast && course.refusal === undefined && keep !== undefined) {
        await c.tx.putIdempotent(keep.client, keep.route, keep.key, keep.entry([...answers, ...done.answers]), c.now)
      }
      return done
    })
    from += part.taken
    answers.push(...part.answers)
    for (const did of part.lifted) lifted.add(did)
  }
  for (const { status } of answers) deps.metrics.inc('trust_reports_total', { status })
  for (const did of lifted) await cascadeEnded(deps, did)
  if (course.refusal !== undefined) throw course.refusal
  return answers
}

/** Takes in the first of them, all but those from one on that would hold too many agents in one transaction. */
const takeSome = async (
  c: Change,
  items: readonly TrustInput[],
  course: Course,
): Promise<{ answers: TrustAnswer[]; lifted: Did[]; taken: number }> => {
  const meant = await meantBy(c.tx, items)
  const scene = await sceneOf(c.tx, meant)
  const limits = c.deps.policy().trust
  const { caller } = course
  const isKin = kinOf(c.tx, caller)
  const answers: TrustAnswer[] = []
  const lifted: Did[] = []
  const kept = new Map<Did, TrustReport>()
  let held = 0
  let upTo = items.length
  for (const [index, did] of meant.entries()) {
    const item = items[index]
    if (item === undefined) continue
    const { score, scale, at } = item
    const known = scene.reports.get(did) ?? []
    const last = lastOf(scene, did, caller)
    const given = { did, client: caller.name, score, scale, at }
    const report = taken(given, last, c.now)
    const refused = refusalOf(scene.agents.get(did), caller)
    if (refused !== undefined || report === undefined) {
      answers.push(answerOf(scene, did, refused ?? 'stale', caller))
      continue
    }
    const others = known.filter((one) => one !== last)
    const hold = scene.holds.get(did)
    // No agent takes part in a release of its own family (rule 5), and what it said before stands.
    if (hold !== undefined && !onlyKeeps(limits, report, last) && (await isKin(did))) {
      answers.push(answerOf(scene, did, 'forbidden', caller))
      continue
    }
    const asked = trustRule(limits, report, others, hold !== undefined)
    if (asked === 'place') {
      if (!course.pay(item)) continue
      const first = held === 0
      held += 1 + (await c.tx.families([did])).length
      if (!first && held > mostAtOnce) {
        upTo = index
        break
      }
      scene.holds.set(did, await place(c, report, limits?.suspendBelow))
    } else if (asked === 'lift' && hold !== undefined) {
      await releaseHold(c, hold, { how: 'trust', score: pointsOf(report) })
      scene.holds.delete(did)
      lifted.push(did)
    }
    scene.reports.set(did, [...others, report])
    kept.set(did, report)
    answers.push(answerOf(scene, did, 'ok', caller))
  }
  await c.tx.saveTrust([...kept.values()])
  return { answers, lifted, taken: upTo }
}

const place = (c: Change, report: TrustReport, threshold: number | undefined): Promise<Hold> => {
  const { did, client, score, scale, at } = report
  return placeHold(c, {
    did,
    origin: trustOrigin,
    severity: 'suspend',
    reason: `The trust score ${pointsOf(report)} of 1000, reported by ${client}, is below ${threshold}.`,
    evidence: { client, score, scale, threshold, at: new Date(at).toISOString() },
  })
}

export const trustNow = async (deps: Deps, items: readonly TrustInput[], caller: Caller): Promise<TrustAnswer[]> => {
  const meant = await meantBy(deps.store, items)
  const scene = await sceneOf(deps.store, meant)
  const isKin = kinOf(deps.store, caller)
  const statusOf = async (did: Did, item: TrustInput | undefined): Promise<TrustStatus> => {
    const refused = refusalOf(scene.agents.get(did), caller)
    if (refused !== undefined || item === undefined) return refused ?? 'ok'
    const last = lastOf(scene, did, caller)
    const isKept = last !== undefined && pointsOf(last) === pointsOf(item)
    if (isKept || !scene.holds.has(did) || onlyKeeps(deps.policy().trust, item, last)) return 'ok'
    return (await isKin(did)) ? 'forbidden' : 'ok'
  }
  const answers: TrustAnswer[] = []
  for (const [index, did] of meant.entries())
    answers.push(answerOf(scene, did, await statusOf(did, items[index]), caller))
  return answers
}

const mostTold = 1_000

/** Nothing lifts what the policy holds once it is gone (I10): whoever took it away should know. At a start and a reload. */
export const tellUnwatched = async (deps: Deps): Promise<void> => {
  if (deps.policy().trust !== undefined) return
  const { length } = await deps.store.openHoldsWithOrigin(trustOrigin, mostTold)
  if (length === 0) return
  const many =
    length === mostTold ? `${length} agents or more are` : length === 1 ? '1 agent is' : `${length} agents are`
  deps.alert('trust-policy-gone', `${many} held for a trust score, and policy.trust is not configured any more`)
}

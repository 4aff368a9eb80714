import { setTimeout as pause } from 'node:timers/promises'
import { at, listAt, textAt } from '../e2e/json.ts'
import { approveGuards, approveReleasable, type Play, register } from './actions.ts'
import { pace } from './daemon.ts'
import { adapters, capabilityOf } from './fleet.ts'
import type { Follower } from './follower.ts'
import { openLegs } from './receipts.ts'
import { groupNames } from './tenancy.ts'

/** Everything that is wrong now, were it quiet: rule, text and whom it concerns. */
type Wrong = readonly [rule: string, text: string, about: readonly string[]]

/** What a write takes from its read to its landing, and the truth to be looked at. */
const slackMs = 500
const fewestLooks = 10

const isOwnOf = (hold: unknown, adapter: string, id: string) => at(hold, 'origin') === `adapter:${adapter}/${id}`

/** Compares every side with every other. */
const disagreements = async (play: Play, followers: readonly Follower[]): Promise<Wrong[] | undefined> => {
  const { daemon, journal, ledger, members, registered, truth } = play
  const wrong: Wrong[] = []
  const listed = await daemon.ask('alice', '/v1/agents?limit=1000')
  if (listed?.status !== 200) return undefined
  const agents = new Map(listAt(listed.body, 'items').map((agent) => [textAt(agent, 'did'), agent]))
  const held = new Set<string>()
  for (const member of members.filter(({ did }) => registered.has(did))) {
    const { did, accounts, parent } = member
    const agent = agents.get(did)
    if (agent === undefined) {
      wrong.push(['I10', 'the agent is gone', [did]])
      continue
    }
    const holds = listAt(agent, 'holds')
    if (holds.length > 0) held.add(did)
    for (const { adapter, id, kind } of accounts) {
      const principal = listAt(agent, 'principals').find((one) => at(one, 'id') === id)
      const account = at(principal, 'account')
      const on = truth.isOn({ adapter, id })
      const own = holds.find((hold) => isOwnOf(hold, adapter, id))
      const excused = at(account, 'contested') === true || at(account, 'overridden') === true
      const name = `${adapter}/${kind} ${id}`
      const state = JSON.stringify(account)
      if (holds.length > 0 && on && !excused) wrong.push(['I5', `${name} is on though held; ${state}`, [did, id]])
      if (holds.length === 0 && !on && !excused)
        wrong.push(['I5', `${name} is off though not held; ${state}`, [did, id]])
      // The log of a directory whose clock jumps tells a wrong order.
      const orderIsTold = !journal.counts.has('fault clock-ahead') && !journal.counts.has('fault clock-behind')
      if (on && orderIsTold && truth.overruled.has(id))
        wrong.push(['I3', `${name} was switched on over an administrator`, [did, id]])
      const mark = at(account, 'mark')
      if (holds.length === 0 && mark !== 'none')
        wrong.push(['I5', `${name} has mark ${String(mark)}, not held`, [did, id]])
      if (own !== undefined && typeof at(own, 'releasableAt') !== 'string') {
        const cause = at(own, 'evidence', 'cause')
        const told = at(own, 'evidence', 'by') !== undefined
        // Restored as the bridge had left it: nobody can tell who wants it off, so that it waits for a person.
        const isDoubtful = truth.isDoubtful(id, pace.settleMs.chaos + slackMs)
        const forPeople = cause === 'unproven' || told || isDoubtful || truth.wasDeleted({ adapter, id })
        const wanted = truth.isForeign({ adapter, id }) || (!on && forPeople)
        if (!wanted)
          wrong.push(['I9', `nobody wants the own hold ${textAt(own, 'id')} of ${name} (${String(cause)})`, [did, id]])
      }
    }
    for (const hold of holds) {
      const origin = textAt(hold, 'origin')
      const id = textAt(hold, 'id')
      if (ledger.holds.get(id)?.releasedAt !== undefined)
        wrong.push(['I9', `${id} was released and is open`, [did, id]])
      if (!origin.startsWith('cascade:')) continue
      const ancestor = agents.get(origin.slice('cascade:'.length))
      const hasOwn = listAt(ancestor, 'holds').some((one) => !textAt(one, 'origin').startsWith('cascade:'))
      if (!hasOwn) wrong.push(['I9', `${id} follows from ${origin}, which nothing holds`, [did, id]])
    }
    const parentHolds = parent === undefined ? [] : listAt(agents.get(parent), 'holds')
    if (parentHolds.length > 0 && holds.length === 0) wrong.push(['I5', `free though its parent is held`, [did]])
    for (const one of capabilitiesOff(play, member, agent)) wrong.push(['I6', one, [did]])
  }
  for (const { id, did } of ledger.standing) {
    const open = agents.get(did)
    const isOpen = open !== undefined && listAt(open, 'holds').some((hold) => at(hold, 'id') === id)
    if (registered.has(did) && !isOpen) wrong.push(['I1', `the acknowledged hold ${id} is not open`, [did, id]])
  }
  const told = (did: string) => listAt(agents.get(did), 'holds').some((hold) => at(hold, 'guarded') !== true)
  for (const [index, follower] of followers.entries()) {
    for (const did of held) {
      if (told(did) && !follower.held.has(did))
        wrong.push(['I11', `stream ${index} does not know that it is held`, [did]])
    }
    for (const did of follower.held) {
      if (registered.has(did) && !held.has(did))
        wrong.push(['I11', `stream ${index} holds it, nothing else does`, [did]])
    }
  }
  return wrong
}

/** Receipts are read when all sides agree: before that they are open, and say why. */
const everything = async (play: Play, followers: readonly Follower[]): Promise<Wrong[] | undefined> => {
  const found = await disagreements(play, followers)
  if (found === undefined || found.length > 0) return found
  const acked = new Set(followers.flatMap((one) => [...one.acked]))
  return (await openLegs(play, acked))?.map(([text, about]): Wrong => ['receipt', text, about])
}

/** I6: what the groups give, and nothing else. */
const capabilitiesOff = ({ tenancies }: Play, { accounts, did }: Play['members'][number], agent: unknown): string[] => {
  const wrong: string[] = []
  const found = listAt(agent, 'capabilities')
  for (const adapter of adapters) {
    const tenancy = tenancies[adapter]
    for (const group of groupNames) {
      const source = `group:${adapter}/${tenancy.groups[group]}`
      const has = found.some(
        (one) =>
          at(one, 'name') === capabilityOf[group] &&
          listAt(one, 'sources').some((each) => at(each, 'source') === source),
      )
      const isMember = accounts.some((account) => account.adapter === adapter && tenancy.isMember(group, account.id))
      if (has !== isMember) wrong.push(`${did} ${has ? 'has' : 'lacks'} ${capabilityOf[group]} of ${source}`)
    }
  }
  return wrong
}

const stateOf = async ({ daemon }: Play): Promise<string | undefined> => {
  const answer = await daemon.ask('alice', '/v1/agents?limit=1000')
  if (answer?.status !== 200) return undefined
  const volatile = new Set(['observedAt', 'confirmedAt', 'lastActivity', 'updatedAt'])
  return JSON.stringify(answer.body, (key, value: unknown) => (volatile.has(key) ? undefined : value))
}

const nameOf = ([rule, , about]: Wrong): string => [rule, ...about].join(' ')

/** Where two looks begin to differ. */
const difference = (before = '', now = ''): string => {
  const at = [...now].findIndex((character, index) => before[index] !== character)
  return at < 0 ? 'nothing' : `…${now.slice(Math.max(0, at - 120), at + 60)}…`
}

/**
 * Lets everything come to rest and says what does not agree then. A run is quiet when no suspension is due, nothing waits for
 * people, and two looks a settle apart show the same; it has `mostMs` to get there, twice that while
 * something still moves or was not seen before, and on a slow machine a few looks: what is found may have been mended by the look itself.
 */
export const settle = async (
  play: Play,
  followers: readonly Follower[],
  mostMs: number,
  settleMs: number,
): Promise<number> => {
  const begun = Date.now()
  const { daemon, journal } = play
  for (const member of play.members) if (!play.registered.has(member.did)) await register(play, member)
  let wrong: readonly Wrong[] = [['quiet', 'the daemon never answered', []]]
  let before: string | undefined
  let wasIdle = false
  /** Since when each was seen in every look. */
  let since = new Map<string, number>()
  for (let looks = 1; ; looks++) {
    const tripped = await approveGuards(play)
    const waiting = await approveReleasable(play, 100)
    const status = await daemon.ask('alice', '/v1/status')
    const now = await stateOf(play)
    const lanes = listAt(status?.body ?? { adapters: [] }, 'adapters').flatMap((one) => listAt(one, 'lanes'))
    // Readings are always due somewhere; a suspension must not be.
    const suspensions = lanes.filter((lane) => at(lane, 'lane') === 'suspend')
    const idle = suspensions.length > 0 && suspensions.every((lane) => at(lane, 'due') === 0)
    const found = await everything(play, followers)
    const same = tripped === 0 && waiting === 0 && now !== undefined && now === before
    wasIdle = idle || (same && wasIdle)
    const still = same && wasIdle
    const moved = difference(before, now)
    before = now
    const isNew = found?.some((one) => !since.has(nameOf(one))) === true
    if (found !== undefined) {
      wrong = found
      since = new Map(found.map((one) => [nameOf(one), since.get(nameOf(one)) ?? Date.now()]))
    }
    if (still && found?.length === 0) break
    if (Date.now() - begun > (still && !isNew ? mostMs : 2 * mostMs) && looks >= fewestLooks) {
      if (!still) {
        journal.check(
          'quiet',
          false,
          () =>
            `not at rest: ${tripped} guards tripped, ${waiting} holds wait, lanes ${JSON.stringify(lanes)}, moving: ${moved}`,
          [],
        )
      }
      break
    }
    await pause(settleMs)
  }
  // One for each agent and rule: what agrees leaves no trace of its own.
  journal.checks += 7 * play.members.length
  for (const one of wrong) {
    const [rule, text, about] = one
    const forMs = Date.now() - (since.get(nameOf(one)) ?? begun)
    journal.check(rule, false, () => `${text} (for the last ${Math.round(forMs / 1000)} s)`, about)
  }
  return Date.now() - begun
}

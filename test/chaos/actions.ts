import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { at, listAt, textAt } from '../e2e/json.ts'
import type { Person, Supervisor } from './daemon.ts'
import { type Account, adapters, type Member, newMember, registration, type Tenancies } from './fleet.ts'
import type { Journal } from './journal.ts'
import { crowd, kill, killMany } from './kills.ts'
import type { Ledger, Tracked } from './ledger.ts'
import type { Samples } from './samples.ts'
import { groupNames, type Trick } from './tenancy.ts'
import type { Truth } from './truth.ts'

export interface Play {
  readonly daemon: Supervisor
  readonly tenancies: Tenancies
  readonly journal: Journal
  readonly truth: Truth
  readonly ledger: Ledger
  readonly samples: Samples
  readonly members: Member[]
  readonly parents: Map<string, string | undefined>
  readonly registered: Set<string>
  /** What must be undone before it can become quiet. */
  readonly undo: Set<() => void>
  readonly random: () => number
}

export interface Action {
  readonly at: number
  readonly what: string
  /** Decides on whom, drawn when the plan was made. */
  readonly draws: readonly number[]
}

const weights: Readonly<Record<string, number>> = {
  'admin-flip': 30,
  'admin-flip-twice': 4,
  'admin-delete': 2,
  'admin-other-switch': 2,
  'admin-common': 0.5,
  kill: 14,
  'kill-list': 1,
  suspend: 8,
  'operator-hold': 5,
  release: 30,
  'approve-releasable': 16,
  override: 2,
  guard: 8,
  group: 8,
  bell: 8,
  'register-again': 3,
  'register-new': 2,
  'kill-unknown': 1,
  decommission: 0.4,
  'cut-stream': 3,
}

/** The same actions for the same seed. On whom they strike also depends on what the run has come to by then. */
export const planActions = (random: () => number, minutes: number, everyMs: number): Action[] => {
  const total = Object.values(weights).reduce((sum, weight) => sum + weight, 0)
  const pick = () => {
    let left = random() * total
    for (const [what, weight] of Object.entries(weights)) {
      left -= weight
      if (left < 0) return what
    }
    return 'kill'
  }
  const actions: Action[] = []
  for (let moment = 0; moment < minutes * 60_000; moment += 2 * everyMs * random()) {
    actions.push({ at: Math.round(moment), what: pick(), draws: [random(), random(), random()] })
  }
  return actions
}

const pickOf = <T>(list: readonly T[], draw: number | undefined): T | undefined =>
  list[Math.floor((draw ?? 0) * list.length)]

export const pathOf = (did: string, rest = ''): string => `/v1/agents/${encodeURIComponent(did)}${rest}`

const hold = async (play: Play, did: string, by: Person, severity: string): Promise<void> => {
  const answer = await play.daemon.post(by, pathOf(did, '/holds'), { severity, reason: 'chaos' })
  if (answer?.status !== 201) return
  play.journal.count('holds')
  play.ledger.acknowledged(textAt(answer.body, 'id'), did, by, severity)
}

/** One person asks, another completes. Resolves to the status of the last answer. */
export const byTwo = async (
  play: Play,
  did: string,
  holdId: string,
  people: readonly [Person, Person],
  tracked?: Tracked,
): Promise<number | undefined> => {
  const asked = await play.daemon.post(people[0], pathOf(did, `/holds/${holdId}/release`), { reason: 'chaos' })
  if (asked?.status !== 202) return asked?.status
  if (tracked !== undefined) tracked.releasing = true
  const id = textAt(asked.body, 'releaseId')
  const done = await play.daemon.post(people[1], `/v1/releases/${id}/approve`, {})
  play.journal.note('ask', [did, holdId], `release of ${holdId} by two: ${done?.status ?? 'no answer'}`)
  if (tracked !== undefined && done !== undefined && done.status >= 400) {
    tracked.releasing = at(done.body, 'code') === 'E_ALREADY_RELEASED'
  }
  if (done?.status === 200) play.journal.count('releases by two')
  if (tracked !== undefined && done?.status === 200) play.ledger.released(tracked)
  return done?.status
}

export const release = async (play: Play, tracked: Tracked): Promise<void> => {
  const { did, id, by } = tracked
  if (tracked.severity === 'suspend' && (by === 'runtime' || by === 'carol')) {
    tracked.releasing = true
    const answer = await play.daemon.post(by, pathOf(did, `/holds/${id}/release`), { reason: 'chaos' })
    play.journal.note('ask', [did, id], `release of ${id} by its origin: ${answer?.status ?? 'no answer'}`)
    if (answer?.status === 200) play.ledger.released(tracked)
    return
  }
  const people: readonly [Person, Person] = by === 'alice' ? ['bob', 'carol'] : ['alice', 'bob']
  await byTwo(play, did, id, people, tracked)
}

/** Every hold that waits for people gets them. Resolves to how many waited. */
export const approveReleasable = async (play: Play, most: number): Promise<number> => {
  const answer = await play.daemon.ask('alice', '/v1/agents?status=suspended&limit=1000')
  if (answer?.status !== 200) return 0
  const waiting = listAt(answer.body, 'items').flatMap((agent) =>
    listAt(agent, 'holds').filter((one) => typeof at(one, 'releasableAt') === 'string'),
  )
  for (const one of waiting.slice(0, most)) await byTwo(play, textAt(one, 'did'), textAt(one, 'id'), ['alice', 'bob'])
  return waiting.length
}

/** Two people let pass what the guards keep back. Resolves to how many guards are tripped. */
export const approveGuards = async (play: Play): Promise<number> => {
  let tripped = 0
  for (const name of adapters) {
    const guard = await play.daemon.ask('alice', `/v1/guard/${name}`)
    for (const direction of ['suspend', 'resume'] as const) {
      if (at(guard?.body, direction, 'tripped') !== true) continue
      tripped += 1
      const hash = at(guard?.body, direction, 'plan', 'hash')
      if (typeof hash !== 'string') continue
      await play.daemon.post('alice', `/v1/guard/${name}/approve`, { hash })
      const done = await play.daemon.post('bob', `/v1/guard/${name}/approve`, { hash })
      play.journal.note('guard', [], `${name} ${direction}: ${done?.status ?? 'no answer'} ${done?.text ?? ''}`)
      if (done?.status === 200) play.journal.count('guard plans approved')
    }
  }
  return tripped
}

const later = (play: Play, ms: number, undo: () => void): void => {
  const once = () => {
    if (play.undo.delete(once)) undo()
  }
  play.undo.add(once)
  void pause(ms, undefined, { ref: false }).then(once)
}

const flip = (play: Play, member: Member, account: Account): void => {
  const tenancy = play.tenancies[account.adapter]
  const { live, own } = tenancy.condition(account.id)
  if (!live) return
  if (own) play.samples.disabled(member, account)
  play.truth.admin(account, member, own ? 'disables' : 'enables', () => tenancy.flip(account.id, !own))
}

/** An administrator does something and takes it back later. */
const trick = (play: Play, member: Member, account: Account, wanted: Trick | undefined, ms: number): void => {
  if (wanted === undefined) return
  play.truth.admin(account, member, wanted.does, wanted.act)
  later(play, ms, () => play.truth.admin(account, member, wanted.undoes, wanted.undo))
}

export const register = async (play: Play, member: Member): Promise<void> => {
  const answer = await play.daemon.post('alice', '/v1/agents', registration(member))
  play.journal.note('ask', [member.did], `register: ${answer?.status ?? 'no answer'}`)
  if (answer !== undefined && answer.status < 300) play.registered.add(member.did)
}

export const act = async (play: Play, { what, draws }: Action, cut: (draw: number) => void): Promise<void> => {
  const { tenancies, truth, ledger, members, journal } = play
  const [first = 0, second = 0, third = 0] = draws
  const member = pickOf(members, first)
  const account = pickOf(member?.accounts ?? [], second)
  if (member === undefined || account === undefined) return
  const tenancy = tenancies[account.adapter]
  journal.count(`action ${what}`)
  switch (what) {
    case 'admin-flip':
      return flip(play, member, account)
    case 'admin-flip-twice':
      flip(play, member, account)
      await pause(Math.floor(third * 1500))
      return flip(play, member, account)
    case 'admin-delete':
      if (!tenancy.condition(account.id).live) return
      return trick(play, member, account, tenancy.removal(account.id, account.kind), 4000 + third * 8000)
    case 'admin-other-switch':
      return trick(play, member, account, tenancy.otherSwitch(account.id, account.kind), 3000 + third * 8000)
    case 'admin-common': {
      const { common } = tenancy
      if (common === undefined) return
      truth.common(account.adapter, common.does, common.act)
      return later(play, 1500 + third * 3000, () => truth.common(account.adapter, common.undoes, common.undo))
    }
    case 'kill':
      return kill(play, member.did)
    case 'kill-list': {
      const from = Math.floor(second * Math.max(1, members.length - 8))
      const dids = members.slice(from, from + 8).map(({ did }) => did)
      return killMany(play, dids, third < 0.5 ? crowd : [], randomUUID())
    }
    case 'suspend':
      return hold(play, member.did, 'runtime', 'suspend')
    case 'operator-hold':
      return hold(play, member.did, third < 0.5 ? 'carol' : 'alice', second < 0.7 ? 'suspend' : 'disable')
    case 'release': {
      const tracked = pickOf(ledger.standing, third)
      return tracked === undefined ? undefined : release(play, tracked)
    }
    case 'approve-releasable':
      await approveReleasable(play, 3)
      return
    case 'override': {
      const answer = await play.daemon.ask('alice', pathOf(member.did))
      const found = at(answer?.body, 'holds')
      const directory = Array.isArray(found)
        ? found.find((one) => String(at(one, 'origin')).startsWith('adapter:'))
        : undefined
      if (directory === undefined) return
      const status = await byTwo(play, member.did, textAt(directory, 'id'), ['alice', 'bob'])
      // Unanswered it may have been done.
      if (status === undefined || status === 200) truth.overridden(textAt(directory, 'origin').split('/')[1] ?? '')
      return
    }
    case 'guard':
      await approveGuards(play)
      return
    case 'group': {
      const group = pickOf(groupNames, third) ?? 'plain'
      tenancy.setMember(group, account.id, second < 0.6)
      journal.note('admin', [member.did], `${second < 0.6 ? 'joins' : 'leaves'} ${group}`)
      return
    }
    case 'bell':
      tenancy.bell(account.id)
      return
    case 'register-again':
      return register(play, member)
    case 'register-new': {
      const born = newMember(tenancies, 1000 + members.length, undefined)
      members.push(born)
      play.parents.set(born.did, undefined)
      return register(play, born)
    }
    case 'kill-unknown': {
      const born = newMember(tenancies, 2000 + members.length, undefined)
      members.push(born)
      play.parents.set(born.did, undefined)
      await kill(play, born.did)
      return register(play, born)
    }
    case 'decommission': {
      const answer = await play.daemon.ask('alice', pathOf(member.did), { method: 'DELETE' })
      journal.note('ask', [member.did], `decommission: ${answer?.status ?? 'no answer'}`)
      return
    }
    case 'cut-stream':
      return cut(first)
    default:
      throw new Error(`no action ${what}`)
  }
}

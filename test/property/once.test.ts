import assert from 'node:assert/strict'
import { env } from 'node:process'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Role } from '../../src/core/roles.ts'
import { World } from '../engine/harness.ts'
import { type Answer, type Listening, listen } from '../http/listen.ts'

/** What a request is about; its number makes it one of a kind. */
type What = 'place' | 'kill' | 'kill many' | 'register' | 'pause' | 'release' | 'release and approve'

/** Where the first try ends without an answer: not at all, before the effect, or at a point after it. */
const ends = ['', 'before', 'key.kept', 'kill.recorded', 'kill.advanced', 'kill.committed', 'agent.registered'] as const

interface Step {
  readonly what: What
  readonly tries: readonly { readonly end: (typeof ends)[number]; readonly restart: boolean }[]
}

const step: fc.Arbitrary<Step> = fc.record({
  what: fc.constantFrom<What>('place', 'kill', 'kill many', 'register', 'pause', 'release', 'release and approve'),
  tries: fc.array(fc.record({ end: fc.constantFrom(...ends), restart: fc.boolean() }), { minLength: 1, maxLength: 3 }),
})

interface Asked {
  readonly path: string
  readonly as: Role
  readonly key: string
  readonly body: Readonly<Record<string, unknown>>
}

const agents = ['a', 'b', 'c'] as const

class Rig implements AsyncDisposable {
  readonly world: World
  #server: Listening | undefined
  private constructor(world: World) {
    this.world = world
  }

  static async open(): Promise<Rig> {
    const rig = new Rig(await World.open())
    for (const id of agents) await rig.world.agent(id, {}, ['north'])
    await rig.#listen()
    return rig
  }

  async #listen(): Promise<void> {
    await this.#server?.[Symbol.asyncDispose]()
    this.#server = await listen({ bridge: this.world.bridge })
  }

  /** One try: undefined when the process, or only what it was at, ended before the answer. */
  async #try(asked: Asked, end: (typeof ends)[number], restart: boolean): Promise<Answer | undefined> {
    const { world } = this
    if (end === 'before') world.dead = true
    else if (end !== '') world.dieAt = end
    const answer = await this.#server?.ask(asked.path, {
      as: asked.as,
      body: asked.body,
      headers: { 'idempotency-key': asked.key },
    })
    world.dieAt = undefined
    const isDead = world.dead
    world.dead = false
    if (isDead && restart) {
      await world.restart()
      await this.#listen()
    }
    // A repeat of what is done writes nothing, and so does not notice.
    return isDead && answer?.status === 500 ? undefined : answer
  }

  /** Asks until it is answered, and then twice more: every answer is the same. */
  async ask(asked: Asked, tries: Step['tries'], shown: (answer: Answer) => unknown): Promise<Answer> {
    let first: Answer | undefined
    for (const { end, restart } of [...tries, { end: '', restart: false }, { end: '', restart: false }] as const) {
      const answer = await this.#try(asked, end, restart)
      if (answer === undefined) continue
      first ??= answer
      assert.deepEqual([answer.status, shown(answer)], [first.status, shown(first)], JSON.stringify(asked))
    }
    assert.ok(first !== undefined && first.status < 300, first?.text)
    const [name] = Object.keys(asked.body).filter((member) => member === 'reason' || member === 'name')
    if (name === undefined) return first
    const other = await this.#try({ ...asked, body: { ...asked.body, [name]: 'another' } }, '', false)
    assert.equal(other?.json?.code, 'E_IDEMPOTENCY_BODY', other?.text)
    return first
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server?.[Symbol.asyncDispose]()
    await this.world[Symbol.asyncDispose]()
  }
}

const stableOf =
  (...names: readonly string[]) =>
  ({ json }: Answer): unknown =>
    names.map((name) => json?.[name])

/** How many entries of which type each request is to leave, by its reason. */
type Expected = Map<string, Readonly<Record<string, number>>>

const play = async (rig: Rig, { what, tries }: Step, n: number, expected: Expected): Promise<void> => {
  const reason = `reason ${n}`
  const key = `key-${n}`
  const did = `did:mesh:${agents[n % agents.length]}`
  const path = `/v1/agents/${did}/holds`
  switch (what) {
    case 'place': {
      const asked = { path, as: 'responder', key, body: { severity: 'suspend', reason } } as const
      await rig.ask(asked, tries, stableOf('id'))
      expected.set(reason, { 'hold.placed': 1 })
      return
    }
    case 'kill':
      await rig.ask(
        { path: '/v1/kill', as: 'responder', key, body: { agentId: did, reason } },
        tries,
        stableOf('holdId'),
      )
      expected.set(reason, { 'hold.placed': 1 })
      return
    case 'kill many': {
      const agentIds = agents.map((id) => `did:mesh:${id}`)
      const shown = stableOf('killId', 'placed')
      const { json } = await rig.ask(
        { path: '/v1/kill', as: 'responder', key, body: { agentIds, reason } },
        tries,
        shown,
      )
      assert.equal(json?.placed, agents.length)
      expected.set(reason, { 'kill.recorded': 1, 'hold.placed': agents.length })
      return
    }
    case 'register': {
      const body = { did: `did:mesh:new-${n}`, name: reason }
      const asked = { path: '/v1/agents', as: 'registrar', key, body } as const
      const { status } = await rig.ask({ ...asked, body }, tries, stableOf('did', 'revision'))
      assert.equal(status, 201)
      return
    }
    case 'pause':
      await rig.ask(
        { path: '/v1/pause', as: 'operator', key, body: { paused: true, reason } },
        tries,
        stableOf('paused'),
      )
      return
    case 'release':
    case 'release and approve': {
      const placed = await rig.world.kill(did)
      const asked = { path: `${path}/${placed.holdId}/release`, as: 'approver', key, body: { reason } } as const
      const { json } = await rig.ask(asked, tries, stableOf('releaseId'))
      expected.set(reason, { 'release.requested': 1 })
      if (what === 'release') return
      const approve = { path: `/v1/releases/${json?.releaseId}/approve`, as: 'operator', key, body: {} } as const
      await rig.ask(approve, tries, stableOf('did'))
      expected.set(`release of ${placed.holdId}`, { 'hold.released': 1 })
    }
  }
}

const assertOnce = async (rig: Rig, expected: Expected): Promise<void> => {
  assert.equal((await rig.world.bridge.verifyAudit()).ok, true)
  const { items } = await rig.world.bridge.audit({ limit: 10_000 })
  const left = new Map<string, Record<string, number>>()
  const count = (name: string, type: string) => {
    const counts = left.get(name) ?? {}
    counts[type] = (counts[type] ?? 0) + 1
    left.set(name, counts)
  }
  for (const { type, hold, text } of items) {
    if (type === 'hold.released') count(`release of ${hold}`, type)
    else if (text?.reason !== undefined) count(text.reason, type)
  }
  for (const [name, counts] of expected) assert.deepEqual(left.get(name), counts, name)
  const registered = items.filter(({ type }) => type === 'agent.registered').map((entry) => entry.did)
  assert.equal(new Set(registered).size, registered.length)
  assert.ok(items.filter(({ type }) => type === 'writes.paused').length <= 1)
}

test('a request repeated under its key has one effect and one answer, wherever its tries end', async (t) => {
  const numRuns = Number(env['FC_RUNS'] ?? 25)
  const property = fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 8 }), async (steps) => {
    await using rig = await Rig.open()
    const expected: Expected = new Map()
    for (const [n, one] of steps.entries()) await play(rig, one, n, expected)
    await assertOnce(rig, expected)
  })
  const seed = env['FC_SEED'] === undefined ? {} : { seed: Number(env['FC_SEED']) }
  t.diagnostic(`${numRuns} runs`)
  await fc.assert(property, { numRuns, ...seed })
})

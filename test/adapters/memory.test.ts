import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { memoryConfig } from '../../adapters/memory/config.ts'
import { MemoryDirectory, open } from '../../adapters/memory/index.ts'
import type { HookRequest } from '../../src/core/adapter.ts'
import { manualClock } from '../../src/lib/clock.ts'
import { adapterContract, type Rig } from '../contract/adapter.ts'

const KEY = 'a-shared-key-of-the-memory-hooks'
const kind = 'account'

function memory(settings: Record<string, unknown> = {}) {
  const clock = manualClock()
  const directory = new MemoryDirectory(clock, { hookKey: KEY })
  for (const id of ['a', 'b', 'c']) directory.add({ id })
  const config = memoryConfig.parse({ kind: 'memory', tokens: { audiences: ['api://agents'] }, ...settings })
  return { clock, directory, adapter: open('mem', config, { clock }, directory) }
}

const bell = (id: string, key: string | undefined): HookRequest => ({
  method: 'POST',
  headers: key === undefined ? {} : { 'x-bridge-key': key },
  query: {},
  body: new TextEncoder().encode(JSON.stringify({ delivery: `d-${id}`, principal: id })),
})

async function rig(): Promise<Rig> {
  const { directory, adapter } = memory()
  directory.setGroup('outer', ['inner', 'b']).setGroup('inner', ['a', 'outer'])
  const ref = (id: string) => ({ id, kind })
  return {
    adapter,
    refs: [ref('a'), ref('b'), ref('c')],
    missing: ref('nobody'),
    secrets: [KEY],
    logged: () => '',
    setEnabled: async (id, enabled) => void directory.set(id, enabled),
    enabled: async (id) => directory.enabled(id),
    remove: async (id) => void directory.remove(id),
    unreadable: async (id) => directory.reads.add({ mode: 'unreadable', id }),
    async breakAll(mode) {
      directory.reads.add({ mode })
      directory.feed.add({ mode })
      directory.writes.add({ mode })
    },
    async heal() {
      for (const faults of [directory.reads, directory.feed, directory.writes]) faults.clear()
    },
    async breakFeed() {
      directory.feed.add({ mode: 'midway', times: 1 })
    },
    expire: async () => void directory.expireCheckpoints(),
    group: {
      id: 'outer',
      members: ['a', 'b'],
      missing: 'no-such-group',
      break: async () => directory.groupFaults.add({ mode: 'midway', times: 1 }),
    },
    tokens: {
      own: (id) => directory.tokens.sign({ sub: id, aud: 'api://agents' }),
      neighbours: async (id) => [
        await directory.tokens.sign({ sub: id, aud: 'api://agents', realm: 'neighbour' }),
        await new MemoryDirectory(manualClock(), { realm: 'neighbour' }).tokens.sign({ sub: id, aud: 'api://agents' }),
      ],
    },
    hooks: {
      genuine: async (id) => bell(id, KEY),
      forged: async (id) => [bell(id, undefined), bell(id, 'guess')],
    },
    async [Symbol.asyncDispose]() {},
  }
}

adapterContract('memory', rig)

describe('memory directory', () => {
  const signal = AbortSignal.timeout(30_000)

  it('answers with old state while it lags', async () => {
    const { clock, directory, adapter } = memory()
    directory.lagMs = 5000
    await clock.advance(10_000)
    directory.set('a', false)
    const state = async () => (await adapter.lookup([{ id: 'a', kind }], signal)).get('a')?.state
    assert.equal(await state(), 'enabled')
    await clock.advance(5000)
    assert.equal(await state(), 'disabled')
  })

  it('loses answers of writes that were applied, were not, or land late', async () => {
    const { clock, directory, adapter } = memory()
    directory.writes.add({ mode: 'lost', id: 'a', times: 1 })
    directory.writes.add({ mode: 'dropped', id: 'b', times: 1 })
    directory.writes.add({ mode: 'late', id: 'c', afterMs: 1000, times: 1 })
    const results = await adapter.accounts?.disable(
      ['a', 'b', 'c'].map((id) => ({ id, kind })),
      signal,
    )
    assert.deepEqual(
      results?.map((each) => each.outcome),
      ['lost', 'lost', 'lost'],
    )
    assert.deepEqual(
      ['a', 'b', 'c'].map((id) => directory.enabled(id)),
      [false, true, true],
    )
    await clock.advance(1000)
    assert.equal(directory.enabled('c'), false)
  })

  it('lets somebody else in between the read and the write', async () => {
    const { directory, adapter } = memory()
    directory.between = (id) => void directory.set(id, false, 'mallory')
    const results = await adapter.accounts?.disable([{ id: 'a', kind }], signal)
    assert.equal(results?.[0]?.before?.state, 'enabled')
    assert.deepEqual(
      directory.logged(0, directory.clock.now()).map((entry) => entry.actor),
      ['mallory'],
    )
  })

  it('a fleet switches every account that names it, and the feed says only that', async () => {
    const { directory, adapter } = memory()
    directory.add({ id: 'd', fleet: 'f' })
    let checkpoint: string | undefined
    for await (const page of adapter.changes(undefined, signal)) checkpoint = page.checkpoint
    directory.setFleet('f', false)
    const touched: string[] = []
    for await (const page of adapter.changes(checkpoint, signal)) touched.push(...page.touched)
    assert.deepEqual(touched, ['f'])
    const seen = (await adapter.lookup([{ id: 'd', kind }], signal)).get('d')
    assert.equal(seen?.state, 'disabled')
    assert.equal(seen?.dependsOn, 'f')
  })

  it('shows log entries late, and says how far it is complete', async () => {
    const { clock, directory, adapter } = memory()
    directory.logLagMs = 60_000
    directory.set('a', false)
    const read = () => adapter.accounts?.log?.read({ from: 0, to: clock.now() }, signal)
    assert.deepEqual(await read(), { entries: [], completeUntil: clock.now() - 60_000 })
    await clock.advance(60_000)
    assert.equal((await read())?.entries.length, 1)
  })

  it('refuses unmanaged kinds and never-listed accounts', () => {
    const { adapter } = memory({ never: ['b'], manage: { kinds: ['account'] } })
    assert.equal(adapter.vet({ id: 'a', kind: 'other' })?.code, 'E_KIND_REFUSED')
    assert.equal(adapter.vet({ id: 'b', kind })?.code, 'E_NEVER')
  })

  it('manages only effective members of manage.groups, when some are named', () => {
    const { adapter, directory } = memory({ manage: { groups: ['outer'] } })
    directory.setGroup('outer', ['inner']).setGroup('inner', ['a', 'outer'])
    assert.equal(adapter.vet({ id: 'a', kind }), undefined)
    assert.equal(adapter.vet({ id: 'b', kind })?.code, 'E_KIND_REFUSED')
  })
})

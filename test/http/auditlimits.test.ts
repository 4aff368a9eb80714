import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { type IncomingMessage, request } from 'node:http'
import { type TestContext, test } from 'node:test'
import { type AuditEntry, chain, genesis } from '../../src/core/audit.ts'
import type { Bridge } from '../../src/engine/api.ts'
import { pruneAudit } from '../../src/engine/checkpoints.ts'
import { minute, World } from '../engine/harness.ts'
import { type Listening, listen } from './listen.ts'

const day = 24 * 60 * minute
const begun = Date.UTC(2026, 10, 1)

/** A long chain, and the pages that were read of it. */
const long = (count: number, bytes = 10, time = (n: number) => begun + n * minute) => {
  const entries: AuditEntry[] = []
  let head = { seq: 0, hash: genesis }
  for (let n = 1; n <= count; n++) {
    const entry = chain(head, { time: time(n), type: 'told', actor: 'x', details: { text: 'x'.repeat(bytes) } }, {})
    head = { seq: entry.seq, hash: entry.hash }
    entries.push(entry)
  }
  const read: { after: number; limit: number }[] = []
  const bridge: Pick<Bridge, 'audit' | 'auditHead'> = {
    audit: async ({ after = 0, limit }) => {
      read.push({ after, limit })
      return { items: entries.slice(after, after + limit), nextCursor: null }
    },
    auditHead: async () => head,
  }
  return { bridge, entries, read }
}
const over = (server: Listening, part: Partial<Bridge>): void => void Object.assign(server.bridge, part)

/** The answer as it begins; nothing of its body is read yet. */
const begin = (server: Listening, query = ''): Promise<IncomingMessage> =>
  new Promise((resolve, reject) => {
    const path = `/v1/audit/export${query}`
    const headers = { authorization: 'Bearer reader-token' }
    request({ host: '127.0.0.1', port: server.port, path, agent: false, headers }, resolve).on('error', reject).end()
  })
const seqs = (text: string): number[] =>
  text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line).seq)
/** The rest of it; `whole`: it came to its end. */
const rest = async (answer: IncomingMessage): Promise<{ text: string; whole: boolean }> => {
  let text = ''
  try {
    for await (const piece of answer) text += String(piece)
    return { text, whole: true }
  } catch {
    return { text, whole: false }
  }
}
const until = async (t: TestContext, is: () => boolean | Promise<boolean>): Promise<void> => {
  while (!(await is())) {
    t.signal.throwIfAborted()
    await new Promise((resolve) => setImmediate(resolve))
  }
}

test('who takes nothing has nothing read for them', async () => {
  await using server = await listen()
  const { bridge, read } = long(30_000, 2_000)
  over(server, bridge)
  const answer = await begin(server)
  answer.pause()
  // A page is a megabyte, and a socket on loopback takes a few: the rest waits in the store.
  for (let n = 0; n < 40; n++) assert.equal((await server.ask('/healthz')).status, 200)
  assert.ok(read.length > 0 && read.length < 30, `${read.length} of 60 pages were read`)
  const { text, whole } = await rest(answer)
  assert.deepEqual([whole, seqs(text).length, read.length], [true, 30_000, 60])
})

test('who goes away ends the reading and makes room: four at once', async (t) => {
  await using server = await listen()
  const { bridge, read } = long(30_000, 2_000)
  over(server, bridge)
  const four = await Promise.all(Array.from({ length: 4 }, () => begin(server)))
  for (const one of four) one.pause()
  const fifth = await server.ask('/v1/audit/export', { as: 'reader' })
  assert.deepEqual([fifth.status, fifth.json?.code, fifth.headers['retry-after']], [429, 'E_BUDGET', '30'])
  for (const one of four) one.destroy()
  await until(t, async () => {
    const again = await begin(server, '?after=29999')
    if (again.statusCode === 200) assert.equal((await rest(again)).whole, true)
    again.resume()
    return again.statusCode === 200
  })
  const pages = read.length
  for (let n = 0; n < 20; n++) await server.ask('/healthz')
  assert.equal(read.length, pages)
})

test('a client that is taken out of the configuration gets no further page, and what it got does not look whole', async () => {
  await using server = await listen()
  const { bridge, read } = long(3_000)
  over(server, {
    ...bridge,
    audit: async (filter) => {
      const page = await bridge.audit(filter)
      if (read.length === 2) server.clients.splice(0)
      return page
    },
  })
  const { text, whole } = await rest(await begin(server))
  assert.deepEqual([whole, read.length], [false, 2])
  assert.ok(seqs(text).length <= 1_000)
})

test('what is pruned behind a checkpoint while it is exported breaks the export off; the next begins behind the checkpoint', async () => {
  await using world = await World.open()
  const by = { name: 'c', roles: ['runtime'], labels: undefined, requestId: 'r' }
  const kills = async (from: number, to: number) => {
    for (let n = from; n < to; n++) await world.kill(`did:mesh:${n}`, { ...by, name: `c${n}` })
  }
  await kills(0, 700)
  await world.clock.advance(300 * day)
  await kills(700, 720)
  await world.clock.advance(150 * day)
  const { privateKey } = generateKeyPairSync('ed25519')
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  const prune = () => pruneAudit(world.deps, { retentionMs: () => 400 * day, keys: () => [{ read: () => pem }] })
  let pages = 0
  const { bridge } = world
  const pruning: Bridge = {
    ...bridge,
    audit: async (filter) => {
      const page = await bridge.audit(filter)
      pages += 1
      if (pages === 1) await prune()
      return page
    },
  }
  await using server = await listen({ bridge: pruning })
  const { text, whole } = await rest(await begin(server))
  assert.equal(whole, false)
  assert.deepEqual(
    seqs(text).filter((seq, at) => seq !== at + 1),
    [],
  )
  const again = await rest(await begin(server))
  const { items } = await bridge.audit({ limit: 1_000 })
  assert.ok((items[0]?.seq ?? 0) > 500)
  assert.deepEqual([again.whole, seqs(again.text)], [true, items.map(({ seq }) => seq)])
})

test('a span of time is found without reading what came before, wherever the clock was set back', async () => {
  await using server = await listen()
  // Set back by half an hour in the middle.
  const { bridge, entries, read } = long(20_000, 10, (n) => begun + n * minute - (n > 10_000 ? 30 * minute : 0))
  over(server, bridge)
  const at = (n: number) => entries[n - 1]?.time ?? 0
  for (const [from, to] of [
    [9_990, 10_010],
    [10_001, 10_040],
    [1, 3],
    [19_990, 20_000],
  ] as const) {
    read.length = 0
    const [first, last] = [at(from), at(to)].sort((a, b) => a - b)
    assert.ok(first !== undefined && last !== undefined)
    const query = `?from=${new Date(first).toISOString()}&to=${new Date(last).toISOString()}`
    const { text, whole } = await rest(await begin(server, query))
    const wanted = entries.filter(({ time }) => time >= first && time <= last).map(({ seq }) => seq)
    assert.deepEqual([whole, seqs(text)], [true, wanted])
    assert.ok(read.length < 15, `${read.length} reads`)
  }
  const open = await rest(await begin(server, `?from=${new Date(at(19_000)).toISOString()}&after=19500`))
  assert.deepEqual(seqs(open.text).length, 500)
  const none = await rest(await begin(server, '?from=2030-01-01T00:00:00Z'))
  assert.deepEqual([none.whole, none.text], [true, ''])
  assert.equal((await server.ask('/v1/audit/export?from=yesterday', { as: 'reader' })).status, 400)
})

import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { type AuditEntry, chain, genesis } from '../../src/core/audit.ts'
import { BridgeError } from '../../src/core/errors.ts'
import type { Bridge } from '../../src/engine/api.ts'
import { type Listening, listen } from '../http/listen.ts'
import { at, parsed } from './json.ts'
import { run } from './process.ts'

const begun = Date.UTC(2026, 10, 1)
const hour = 3_600_000

const entriesOf = (count: number): AuditEntry[] => {
  const entries: AuditEntry[] = []
  let head = { seq: 0, hash: genesis }
  for (let n = 1; n <= count; n++) {
    const entry = chain(head, { time: begun + n * hour, type: 'told', actor: 'x', text: { reason: 'über alles' } }, {})
    head = { seq: entry.seq, hash: entry.hash }
    entries.push(entry)
  }
  return entries
}

/** A daemon that has these entries. `page`: how many are read before it fails, each time anew. */
const daemonOf = async (entries: readonly AuditEntry[], page?: () => number) => {
  const server = await listen()
  let read = 0
  const audit: Bridge['audit'] = async ({ after = 0, limit }) => {
    if (page !== undefined && limit > 1 && ++read > page()) {
      read = 0
      throw new Error('the store is away')
    }
    const items = entries.filter(({ seq }) => seq > after).slice(0, limit)
    return { items, nextCursor: null }
  }
  const last = entries.at(-1)
  const auditHead = async () => ({ seq: last?.seq ?? 0, hash: last?.hash ?? genesis })
  Object.assign(server.bridge, { audit, auditHead })
  return server
}

const exported = ({ port }: Listening, args: readonly string[], as = 'reader') =>
  run(['audit', 'export', ...args], {
    env: { IDP_BRIDGE_URL: `http://127.0.0.1:${port}`, IDP_BRIDGE_TOKEN: `${as}-token`, NO_COLOR: '1' },
  })
const lines = (text: string): unknown[] => text.split('\n').filter(Boolean).map(parsed)
const seqs = (text: string) => lines(text).map((line) => at(line, 'seq'))
const folder = () => {
  const path = mkdtempSync(join(tmpdir(), 'idp-export-'))
  return {
    file: join(path, 'audit.jsonl'),
    path,
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  }
}
const all = (count: number, from = 1) => Array.from({ length: count - from + 1 }, (_, n) => n + from)

test('audit export prints the log, as entries or as CloudEvents, of a span of time or after an entry', async () => {
  await using daemon = await daemonOf(entriesOf(1_200))
  const whole = await exported(daemon, [])
  assert.deepEqual([whole.code, whole.err], [0, ''])
  assert.deepEqual(seqs(whole.out), all(1_200))
  assert.equal(at(lines(whole.out)[0], 'text', 'reason'), 'über alles')
  const events = lines((await exported(daemon, ['--format', 'cloudevents', '--after', '1190'])).out)
  assert.deepEqual(
    events.map((one) => [at(one, 'specversion'), at(one, 'data', 'seq')]),
    all(1_200, 1_191).map((seq) => ['1.0', seq]),
  )
  const day = await exported(daemon, ['--from', '2026-11-03', '--to', '2026-11-03'])
  assert.deepEqual(seqs(day.out), all(71, 48))
  const later = await exported(daemon, ['--from', '2026-12-20T23:00:00+01:00'])
  assert.deepEqual(seqs(later.out), all(1_200, 1_198))
  for (const bad of [
    ['--format', 'csv'],
    ['--from', 'today'],
    ['--after', '-1'],
  ])
    assert.equal((await exported(daemon, bad)).code, 64)
  assert.equal((await exported(daemon, [], 'gateway')).code, 77)
})

test('audit export makes a file that is whole or not there, and replaces none unasked', async () => {
  using place = folder()
  await using daemon = await daemonOf(entriesOf(600))
  const made = await exported(daemon, ['--out', place.file])
  assert.deepEqual([made.code, made.out], [0, ''])
  assert.match(made.err, /600 entries .* --after 600$/m)
  assert.deepEqual(seqs(readFileSync(place.file, 'utf8')), all(600))
  assert.equal(statSync(place.file).mode & 0o777, 0o600)
  writeFileSync(place.file, 'mine')
  const refused = await exported(daemon, ['--out', place.file])
  assert.equal(refused.code, 64, refused.err)
  assert.match(refused.err, /--force/)
  assert.equal(readFileSync(place.file, 'utf8'), 'mine')
  assert.equal((await exported(daemon, ['--out', place.file, '--force'])).code, 0)
  assert.deepEqual(seqs(readFileSync(place.file, 'utf8')), all(600))
  assert.equal((await exported(daemon, ['--out', join(place.path, 'no', 'such')])).code, 64)
  assert.deepEqual(readdirSync(place.path), ['audit.jsonl'], 'nothing is left beside it')
})

test('audit export takes a cut stream up behind the last whole line, without loss or repetition', async () => {
  using place = folder()
  await using daemon = await daemonOf(entriesOf(3_000), () => 2)
  const made = await exported(daemon, ['--out', place.file])
  assert.equal(made.code, 0, made.err)
  assert.deepEqual(seqs(readFileSync(place.file, 'utf8')), all(3_000))
  assert.match(made.err, /taken up behind entry \d+/)
})

test('audit export that does not come to its end says where to go on, and makes no file', async () => {
  using place = folder()
  await using daemon = await daemonOf(entriesOf(3_000))
  const { audit } = daemon.bridge
  Object.assign(daemon.bridge, {
    audit: async (filter: Parameters<Bridge['audit']>[0]) => {
      const { after = 0, limit } = filter
      // None past it, however often it is taken up.
      if (after < 1_000) return audit({ ...filter, limit: Math.min(limit, 1_000 - after) })
      throw new BridgeError('E_STORE', 'the store is away for good')
    },
  })
  const broken = await exported(daemon, ['--out', place.file])
  assert.equal(broken.code, 75, broken.err)
  const [, seq] = /--after (\d+)/.exec(broken.err) ?? []
  assert.equal(seq, '1000', broken.err)
  assert.deepEqual(readdirSync(place.path), [])
})

test('audit export of entries that do not follow on each other is broken, and no file', async () => {
  using place = folder()
  const entries = entriesOf(1_200)
  const changed = entries.map((one) => (one.seq === 700 ? { ...one, prev: genesis } : one))
  await using tampered = await daemonOf(changed)
  const result = await exported(tampered, ['--out', place.file])
  assert.equal(result.code, 70, result.err)
  assert.match(result.err, /Entry 700 does not follow on entry 699/)
  assert.deepEqual(readdirSync(place.path), [])
  // Pruned while it was cut: what comes next is not what followed.
  let isPruned = false
  const daemon = await daemonOf(entries)
  await using _ = daemon
  const { audit } = daemon.bridge
  Object.assign(daemon.bridge, {
    audit: async (filter: Parameters<Bridge['audit']>[0]) => {
      if (isPruned) return audit({ ...filter, after: Math.max(filter.after ?? 0, 900) })
      const page = await audit(filter)
      if (filter.after === 500) {
        isPruned = true
        throw new Error('cut')
      }
      return page
    },
  })
  const gap = await exported(daemon, [])
  assert.equal(gap.code, 70, gap.err)
  assert.match(gap.err, /Entry 901 does not follow on entry 500/)
})

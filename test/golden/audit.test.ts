import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { type AuditEntry, type AuditEvent, chain, digestText, genesis } from '../../src/core/audit.ts'
import type { AuditFilter } from '../../src/core/filters.ts'
import { listen } from '../http/listen.ts'
import { byName, difference, fenced, read, same, section, sources } from './markdown.ts'

const page = read('docs/audit-format.md')

const union = (file: string, pattern: RegExp): string[] => {
  const found = [...(pattern.exec(read(file))?.[1] ?? '').matchAll(/'([a-z-]+)'/g)].map(([, name]) => name ?? '')
  assert.ok(found.length > 0, file)
  return found
}

/** Every dotted literal of the engine that is not the name of a probe, and what its templates stand for. */
const eventTypes = (): string[] => {
  const code = [...sources('src/engine/*.ts').values()].join('\n').replaceAll(/probe\?\.\(\s*'[^']+'\s*\)/g, '')
  const literal = [...code.matchAll(/'([a-z]+\.[a-z-]+)'/g)].map(([, name]) => name ?? '')
  const templates = [...code.matchAll(/\btype: [^\n]*`[^\n]*$/gm)].map(([line]) => line)
  const known = /^type: alert === undefined \? `account\.\$\{after\.mark\}` : `account\.\$\{alert\}`,$/
  assert.deepEqual(
    templates.filter((line) => !known.test(line)),
    [],
  )
  const marks = union('src/core/types.ts', /export type Mark = ([^\n]+)/)
  const alerts = union('src/core/mirror.ts', /alert\?: ([^\n]+)/)
  return [...literal, ...[...marks, ...alerts].map((name) => `account.${name}`)]
}

test('docs/audit-format.md has every type of entry and no other', () => {
  assert.deepEqual(difference(eventTypes(), byName(section(page, 'Types')).keys()), same)
})

test('docs/audit-format.md has every member of an entry and no other', () => {
  const code = read('src/core/audit.ts')
  const members = ['AuditEvent', 'AuditEntry'].flatMap((name) => {
    const body = new RegExp(`export interface ${name}[^{]*\\{([\\s\\S]*?)\\n\\}`).exec(code)?.[1] ?? ''
    return [...body.matchAll(/readonly (\w+)\??: /g)].map(([, member]) => member ?? '')
  })
  // `realm` is a member of the accounts.
  const own = members.filter((name) => name !== 'realm')
  assert.deepEqual(difference(own, byName(section(page, 'Entry')).keys()), same)
})

const events: readonly AuditEvent[] = [
  { time: 1_790_000_000_000, type: 'bridge.started', actor: 'bridge', details: { adapters: ['contoso'] } },
  {
    time: 1_790_000_000_123,
    type: 'agent.registered',
    did: 'did:mesh:ünïcode',
    principals: [{ adapter: 'contoso', id: 'p1', realm: 'r1' }],
    scopes: [],
    actor: 'soc',
    requestId: 'r-1',
    details: { revision: 1, parentDid: null, labels: { b: '"2"', a: '\u20ac\n' }, share: 0.1 },
    text: { name: 'an agent' },
  },
  ...Array.from({ length: 1500 }, (_, at) => ({ time: 1_790_000_001_000 + at, type: 'hold.placed', actor: 'soc' })),
]

const chained = (): AuditEntry[] => {
  const entries: AuditEntry[] = []
  let head = { seq: 0, hash: genesis }
  for (const event of events) {
    const digests = Object.fromEntries(Object.entries(event.text ?? {}).map(([key, it]) => [key, digestText('00', it)]))
    const entry = chain(head, event, digests)
    entries.push(entry)
    head = entry
  }
  return entries
}

/** Runs the snippet of the page as it stands, on a chain served over the API. */
const verifyByHand = async (entries: readonly AuditEntry[], checkpoint?: AuditEntry) => {
  const [snippet, ...others] = fenced(section(page, 'Verification by hand'), 'js')
  assert.ok(snippet !== undefined && others.length === 0)
  await using server = await listen()
  server.bridge.audit = async ({ after = 0, limit }: AuditFilter) => {
    const items = entries.filter(({ seq }) => seq > after).slice(0, limit)
    const last = items.at(-1)?.seq ?? 0
    return { items, nextCursor: last < (entries.at(-1)?.seq ?? 0) ? String(last) : null }
  }
  server.bridge.verifyAudit = async () => ({
    ok: true,
    entries: entries.length,
    head: entries.at(-1)?.hash ?? '',
    checkpoint: checkpoint && { seq: checkpoint.seq, hash: checkpoint.hash, at: checkpoint.time, jws: '' },
  })
  const folder = await mkdtemp(join(tmpdir(), 'idp-bridge-golden-'))
  try {
    const file = join(folder, 'verify.mjs')
    await writeFile(file, snippet)
    const env = { IDP_BRIDGE_URL: `http://127.0.0.1:${server.port}`, IDP_BRIDGE_TOKEN: 'reader-token' }
    const child = spawn(process.execPath, [file], { env, stdio: ['ignore', 'pipe', 'pipe'] })
    const ended = new Promise<number | null>((done) => child.once('close', done))
    const [out, err, exit] = await Promise.all([text(child.stdout), text(child.stderr), ended])
    return { out, err, exit }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

test('the snippet of docs/audit-format.md verifies a chain of several pages', async () => {
  const entries = chained()
  const { out, err, exit } = await verifyByHand(entries)
  assert.equal(err, '')
  assert.equal(out, `${entries.length} entries hold, head ${entries.at(-1)?.hash}\n`)
  assert.equal(exit, 0)
})

test('the snippet of docs/audit-format.md names the first bad entry', async () => {
  const entries = chained().map((entry) => (entry.seq === 1200 ? { ...entry, actor: 'mallory' } : entry))
  const { err, exit } = await verifyByHand(entries)
  assert.match(err, /entry 1200 is bad/)
  assert.equal(exit, 1)
})

test('the snippet of docs/audit-format.md begins behind a checkpoint', async () => {
  const entries = chained()
  const kept = entries.slice(200)
  const { out, err } = await verifyByHand(kept, entries[199])
  assert.equal(err, '')
  assert.equal(out, `${kept.length} entries hold, head ${entries.at(-1)?.hash}\n`)
  assert.match((await verifyByHand(kept)).err, /entry 201 is bad/)
})

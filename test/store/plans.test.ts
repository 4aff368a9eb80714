import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import Database from 'better-sqlite3'
import type { StoreReads, StoreTx } from '../../src/core/store.ts'
import { connection, openReader } from '../../src/store/database.ts'
import { openStore } from '../../src/store/index.ts'
import { reads } from '../../src/store/reads.ts'
import type { Run } from '../../src/store/statement.ts'
import { transaction } from '../../src/store/writes.ts'
import { account, directory } from './fixture.ts'

const dir = directory()
const key = { adapter: 'contoso', id: 'p1' }
const filter = { limit: 10 }

before(async () => {
  await (await openStore({ url: `sqlite:${dir.file}`, now: Date.now })).close()
})
after(() => dir[Symbol.dispose]())

/** The plan of every statement that a call runs, statistics or none. */
const plansOf = async (call: (run: Run) => Promise<unknown>): Promise<string[]> => {
  const raw = new Database(dir.file)
  const on = connection(raw)
  const lines: string[] = []
  const explain = (sql: string, parameters: readonly unknown[]) => {
    const rows = raw.prepare<unknown[], { detail: string }>(`explain query plan ${sql}`).all(...parameters)
    lines.push(...rows.map((row) => row.detail))
  }
  const seen = (given: { sql: string; parameters: readonly unknown[] }) => explain(given.sql, given.parameters)
  await call({
    all: (statement, values = {}) => {
      seen(statement.fill(values))
      return on.run.all(statement, values)
    },
    one: (statement, values = {}) => {
      seen(statement.fill(values))
      return on.run.one(statement, values)
    },
    change: async (statement, values = {}) => {
      seen(statement.fill(values))
      return 1
    },
    each: async (statement, rows) => {
      for (const row of rows.slice(0, 1)) seen(statement.fill(row))
    },
    query: (query) => {
      seen(query.compile())
      return on.run.query(query)
    },
  })
  await on.close()
  return lines
}

/** Tables of which every row would be read. json_each, subqueries, recursions and the index of what is unfinished are no tables. */
const scans = (plan: readonly string[]): string[] =>
  plan.filter((line) =>
    /^SCAN (?!\w+ VIRTUAL TABLE|family|above|below|wanted|kills USING INDEX kills_unfinished|\(|CONSTANT|sqlite_sequence|lease)/.test(
      line,
    ),
  )

const keyed: Readonly<Record<string, (store: StoreReads) => Promise<unknown>>> = {
  agent: (s) => s.agent('d'),
  'agents of a sponsor': (s) => s.agents({ ...filter, sponsor: 'x' }),
  'agents with a label': (s) => s.agents({ ...filter, label: { key: 'k', value: 'v' } }),
  'agents suspended': (s) => s.agents({ ...filter, status: 'suspended' }),
  'agents, a page': (s) => s.agents({ ...filter, after: 'd', q: 'x', adapter: 'contoso', status: 'active' }),
  'agents of a blueprint': (s) => s.agents({ ...filter, blueprint: 'x' }),
  blueprint: (s) => s.blueprint('b'),
  carriers: (s) => s.carriers('b', 'd', 5),
  isCarried: (s) => s.isCarried('b'),
  misgranted: (s) => s.misgranted(['d', 'e'], 'blueprint:b', ['read:x']),
  'agents of a parent': (s) => s.agents({ ...filter, parentDid: 'd' }),
  descendants: (s) => s.descendants('d'),
  kill: (s) => s.kill('k'),
  cascadeHolds: (s) => s.cascadeHolds('d', 5),
  aliased: (s) => s.aliased('d'),
  aliasesAmong: (s) => s.aliasesAmong(['d', 'e']),
  aliasesOf: (s) => s.aliasesOf('d'),
  keysOf: (s) => s.keysOf('d'),
  holdersOf: (s) => s.holdersOf(['t']),
  proofsOf: (s) => s.proofsOf('d'),
  killItems: (s) => s.killItems('k', 1, 5),
  killAccounts: (s) => s.killAccounts('k'),
  killReleased: (s) => s.killReleased('k'),
  recentKills: (s) => s.recentKills(1, 5),
  unfinishedKills: (s) => s.unfinishedKills(),
  delegation: (s) => s.delegation('d'),
  changesAfter: (s) => s.changesAfter(1, 5),
  changeHead: (s) => s.changeHead(),
  replicaAfter: (s) => s.replicaAfter('d', 5),
  replicaOf: (s) => s.replicaOf(['d', 'e']),
  chain: (s) => s.chain('d'),
  linksAround: (s) => s.linksAround(['d', 'e']),
  heightBelow: (s) => s.heightBelow('d'),
  dueDelegations: (s) => s.dueDelegations(5, 5),
  nextDelegationEnd: (s) => s.nextDelegationEnd(),
  children: (s) => s.children('d'),
  principal: (s) => s.principal(key),
  principalsOf: (s) => s.principalsOf('d'),
  sharersOf: (s) => s.sharersOf(key),
  principalsById: (s) => s.principalsById('contoso', ['a', 'b']),
  principalsNamed: (s) => s.principalsNamed('contoso', ['a', 'b']),
  principalsAfter: (s) => s.principalsAfter('contoso', 'a', 5),
  dependentsOf: (s) => s.dependentsOf('contoso', 'a'),
  mappedAfter: (s) => s.mappedAfter('contoso', 'a', 5),
  missingLike: (s) => s.missingLike('contoso', { appIds: ['a'], names: ['b'], stems: ['c'] }, 5),
  countPrincipals: (s) => s.countPrincipals('contoso'),
  countUnseen: (s) => s.countUnseen('contoso'),
  countMappedSince: (s) => s.countMappedSince('contoso', 5, 50),
  due: (s) => s.due('contoso', 0, 5, 10),
  nextDue: (s) => s.nextDue('contoso', 1),
  laneDepth: (s) => s.laneDepth('contoso'),
  stale: (s) => s.stale('contoso', 5, 50, 10),
  countStale: (s) => s.countStale('contoso', 5, 50),
  oldestReading: (s) => s.oldestReading('contoso'),
  countFailing: (s) => s.countFailing('contoso'),
  hold: (s) => s.hold('h'),
  openHolds: (s) => s.openHolds('d'),
  holdsOf: (s) => s.holdsOf('d', 5),
  openHoldOfOrigin: (s) => s.openHoldOfOrigin('d', 'adapter:contoso/x'),
  openHoldsWithOrigin: (s) => s.openHoldsWithOrigin('adapter:contoso/', 5, 'h'),
  heldDids: (s) => s.heldDids('d', 5),
  openOwnHoldCount: (s) => s.openOwnHoldCount('d'),
  sourcesOf: (s) => s.sourcesOf('d'),
  sourcesNamed: (s) => s.sourcesNamed('manual'),
  sourcesBefore: (s) => s.sourcesBefore('group:', 5, 5),
  signalsAfter: (s) => s.signalsAfter(4, 5),
  signal: (s) => s.signal(4),
  agentsByDid: (s) => s.agentsByDid(['d', 'e']),
  principalsByDid: (s) => s.principalsByDid(['d', 'e']),
  openHoldsByDid: (s) => s.openHoldsByDid(['d', 'e']),
  legsOf: (s) => s.legsOf(['h', 'i']),
  acksOf: (s) => s.acksOf(['h', 'i']),
  cascadesOf: (s) => s.cascadesOf('cascade:d', { from: 1, until: 2 }, 'd', 5),
  countCascades: (s) => s.countCascades('cascade:d', { from: 1, until: 2 }),
  statusPlace: (s) => s.statusPlace('d'),
  statusesOf: (s) => s.statusesOf(['d', 'e']),
  newestStatusList: (s) => s.newestStatusList(),
  trustOf: (s) => s.trustOf(['d', 'e']),
  release: (s) => s.release('r'),
  openReleaseOf: (s) => s.openReleaseOf('h'),
  checkpoint: (s) => s.checkpoint('contoso', 'f'),
  meta: (s) => s.meta('k'),
  idempotent: (s) => s.idempotent('c', 'r', 'k'),
  guardCount: (s) => s.guardCount('contoso', 'suspend', 4),
  absence: (s) => s.absence(key),
  countAbsences: (s) => s.countAbsences('contoso', 4),
  'audit after': (s) => s.audit({ limit: 5, after: 5 }),
  'audit of a DID': (s) => s.audit({ limit: 5, dids: ['d'], after: 5 }),
  'audit of every spelling of a DID': (s) => s.audit({ limit: 5, dids: ['d', 'e'], after: 5 }),
  'audit of a hold': (s) => s.audit({ limit: 5, hold: 'h', after: 5 }),
  'audit of an actor': (s) => s.audit({ limit: 5, actor: 'a', after: 5 }),
  'audit of a span of time': (s) => s.audit({ limit: 5, from: 1, to: 2, after: 5 }),
}

for (const [name, call] of Object.entries(keyed)) {
  test(`no full scan: ${name}`, async () => {
    const plan = await plansOf((run) => call(reads(run)))
    assert.ok(plan.length > 0)
    assert.deepEqual(scans(plan), [], plan.join('\n'))
  })
}

const changes: Readonly<Record<string, (tx: StoreTx) => Promise<unknown>>> = {
  wake: (tx) => tx.wake(['d'], 1, 0),
  takeStatusPlace: (tx) => tx.takeStatusPlace('d', { list: 1, idx: 2 }),
  askRead: (tx) => tx.askRead(key, 1, 2),
  askReadDependents: (tx) => tx.askReadDependents('contoso', 'x', 1, undefined),
  saveAccount: (tx) => tx.saveAccount(key, account(), { nextAt: 1, lane: 1 }),
  unmapPrincipal: (tx) => tx.unmapPrincipal(key, 'd'),
  moveHolds: (tx) => tx.moveHolds('d', 'e'),
  dropAlias: (tx) => tx.dropAlias('d'),
  dropKey: (tx) => tx.dropKey('d', 't'),
  saveLeg: (tx) =>
    tx.saveLeg({
      holdId: 'h',
      type: 'account',
      ...key,
      at: 1,
      answeredAt: 1,
      closedAt: 1,
      reopenedAt: undefined,
      ended: undefined,
    }),
  saveAccounts: (tx) => tx.saveAccounts([{ key, account: account(), schedule: { nextAt: 1, lane: 4 } }]),
  'saveAccounts of what was read': (tx) => {
    const read = account()
    return tx.saveAccounts([
      { key, account: { ...read, mark: 'claimed' }, schedule: { nextAt: 1, lane: 4 }, before: read },
    ])
  },
  advanceKill: (tx) => tx.advanceKill('k', 1, undefined),
  grantFrom: (tx) => tx.grantFrom('blueprint:b', ['d', 'e'], ['read:x'], 1),
  voidReleases: (tx) => tx.voidReleases(['h', 'i']),
  noteResumed: (tx) => tx.noteResumed(['d', 'e'], 1),
  endDelegations: (tx) => tx.endDelegations(['d'], 1),
  deleteDelegation: (tx) => tx.deleteDelegation('d'),
  dropCascadeEnd: (tx) => tx.dropCascadeEnd('d'),
  settleTrust: (tx) => tx.settleTrust('d'),
  dropTrust: (tx) => tx.dropTrust('d'),
  closeHolds: (tx) => tx.closeHolds(['h'], 1),
  confirmSources: (tx) => tx.confirmSources('group:a', 1),
  clearGuardEvents: (tx) => tx.clearGuardEvents('contoso', 'resume'),
  deleteAbsence: (tx) => tx.deleteAbsence(key),
  rebaseGuard: (tx) => tx.rebaseGuard('contoso', 5),
  prune: (tx) => tx.prune({ signals: 1, inbox: 1, idempotency: 1, guard: 1, receipts: 1 }),
}

for (const [name, call] of Object.entries(changes)) {
  test(`no full scan: ${name}`, async () => {
    const plan = await plansOf((run) => call(transaction(run)))
    assert.deepEqual(scans(plan), [], plan.join('\n'))
  })
}

test('who depends on an object is found through what they depend on, not by walking the adapter', async () => {
  const plan = await plansOf((run) => transaction(run).askReadDependents('contoso', 'x', 1, undefined))
  assert.ok(
    plan.some((line) => /USING INDEX principals_depends \(depends_on=\?/.test(line)),
    plan.join('\n'),
  )
  assert.ok(!plan.some((line) => /\(adapter=\?\)/.test(line)), plan.join('\n'))
})

const throughOpenHolds = (plan: readonly string[]): void => {
  const text = plan.join('\n')
  assert.deepEqual(scans(plan.filter((line) => !/USING (COVERING )?INDEX holds_/.test(line))), [], text)
  assert.match(
    text,
    /principals USING (COVERING )?INDEX principals_did \(did=\?|p USING (COVERING )?INDEX principals_did/,
  )
  assert.doesNotMatch(text, /PRIMARY KEY \(adapter=\?\)/, text)
}

test('what is engaged is found from the open holds, not from the principals of the adapter', async () => {
  throughOpenHolds(await plansOf((run) => reads(run).engaged('contoso')))
  throughOpenHolds(await plansOf((run) => transaction(run).wakeEngaged('contoso', 1)))
})

test('what status lists tell is found from the open holds and the releases, not from all places', async () => {
  const plan = await plansOf((run) => reads(run).statusesToTell(1))
  const text = plan.join('\n')
  assert.deepEqual(scans(plan.filter((line) => !/USING (COVERING )?INDEX holds_|^SCAN d$/.test(line))), [], text)
  assert.match(text, /agents USING (COVERING )?INDEX agents_resumed/)
  assert.match(text, /SEARCH p USING (COVERING )?INDEX \w+ \(did=\?\)/)
})

test('work in order of lane and time, staleness and signals need no sorting', async () => {
  for (const name of [
    'due',
    'nextDue',
    'stale',
    'signalsAfter',
    'audit after',
    'audit of a DID',
    'agents, a page',
    'cascadesOf',
  ]) {
    const call = keyed[name]
    assert.ok(call)
    const plan = await plansOf((run) => call(reads(run)))
    assert.doesNotMatch(plan.join('\n'), /TEMP B-TREE/, name)
  }
})

test('a million idle principals cost nothing: counts and work have indexes of their own', async () => {
  const plan = async (call: (store: StoreReads) => Promise<unknown>) =>
    (await plansOf((run) => call(reads(run)))).join('\n')
  assert.match(await plan((s) => s.countPrincipals('contoso')), /principal_counts USING PRIMARY KEY/)
  assert.match(await plan((s) => s.due('contoso', 1, 5, 5)), /principals_due/)
  assert.match(await plan((s) => s.stale('contoso', 5, 50, 5)), /principals_seen/)
  assert.match(await plan((s) => s.oldestReading('contoso')), /principals_seen/)
  assert.match(await plan((s) => s.countFailing('contoso')), /principals_marked/)
})

test('a reader cannot write', () => {
  const raw = openReader(dir.file)
  assert.throws(() => raw.exec("insert into meta values ('a', 'b')"))
  raw.close()
})

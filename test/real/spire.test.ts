import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { loadSync, type PackageDefinition } from '@grpc/proto-loader'
import { definitions } from '../../sandbox/spire/proto.ts'
import { at, list, text } from '../sandbox/client.ts'
import { fetchTokens, SpireClient } from '../sandbox/spireclient.ts'
import { playScript } from '../sandbox/spirescript.ts'
import { localSpire, stageAt } from '../sandbox/spirestage.ts'
import { installSpire, moduleFolder, spireVersion } from './spireinstall.ts'
import { type RealSpire, startRealSpire } from './spireworld.ts'

/** Built from nothing it takes a few minutes of two cores, more when they are busy; kept after that. */
const buildMs = 30 * 60_000
const recording = join(import.meta.dirname, '../sandbox/recordings/spire.json')

const start = async (t: TestContext): Promise<RealSpire | undefined> => {
  const programs = await installSpire()
  if (!('skip' in programs)) return startRealSpire(programs)
  t.skip(programs.skip)
  return undefined
}

interface Field {
  readonly name: string
  readonly number: number
  readonly type: unknown
  readonly repeated: boolean
}

/** Name, number and kind of every field of every message. */
const fieldsOf = (definition: PackageDefinition): ReadonlyMap<string, readonly Field[]> => {
  const found = new Map<string, readonly Field[]>()
  for (const [name, each] of Object.entries(definition)) {
    const fields = 'format' in each ? at(each.type, 'field') : undefined
    if (!Array.isArray(fields)) continue
    const read = fields.map(
      (field): Field => ({
        name: text(at(field, 'name')),
        number: Number(at(field, 'number')),
        type: at(field, 'type'),
        repeated: at(field, 'label') === 'LABEL_REPEATED',
      }),
    )
    found.set(name, read)
  }
  return found
}

test('the messages that the sandbox speaks are those that the projects publish', async (t) => {
  const [sdk, workload] = [
    await moduleFolder('github.com/spiffe/spire-api-sdk'),
    await moduleFolder('github.com/spiffe/go-spiffe/v2'),
  ]
  if (typeof sdk !== 'string' || typeof workload !== 'string') {
    t.skip([sdk, workload].flatMap((each) => (typeof each === 'string' ? [] : [each.skip])).join(', '))
    return
  }
  const files = ['entry', 'agent', 'bundle', 'svid'].map((name) => `spire/api/server/${name}/v1/${name}.proto`)
  const published = loadSync([...files, join(workload, 'proto/spiffe/workload/workload.proto')], {
    keepCase: true,
    includeDirs: [join(sdk, 'proto')],
  })
  const [ours, theirs] = [fieldsOf(definitions), fieldsOf(published)]
  assert.ok(ours.size > 40)
  for (const [name, fields] of ours) {
    const known = theirs.get(name)
    assert.ok(known, `${name} is not published`)
    for (const field of fields) {
      assert.deepEqual(
        field,
        known.find((each) => each.name === field.name),
        `${name}.${field.name}`,
      )
    }
  }
})

test('the sandbox answers as the real SPIRE does, and so did it when that was written down', {
  timeout: buildMs,
}, async (t) => {
  await using real = await start(t)
  if (real === undefined) return
  await using local = await localSpire()
  const caPem = await real.command('bundle', 'show')
  using stage = stageAt({ ...real, caPem })
  using localStage = stageAt(local)
  const answers = await playScript(stage)
  if (process.env.RECORD !== undefined) {
    writeFileSync(recording, `${JSON.stringify({ version: spireVersion(), answers }, null, 2)}\n`)
  }
  assert.deepEqual(await playScript(localStage), answers)
  assert.deepEqual(JSON.parse(readFileSync(recording, 'utf8')), { version: spireVersion(), answers })
})

test('a sentinel selector stops what the real agent issues, and its removal restores every field', {
  timeout: buildMs,
}, async (t) => {
  await using real = await start(t)
  if (real === undefined) return
  await using stack = new AsyncDisposableStack()
  const [server, workload] = [stack.use(new SpireClient(real.socket)), stack.use(new SpireClient(real.workload))]
  const [type = '', ...value] = real.selector.split(':')
  const own = { type, value: value.join(':') }
  const entry = {
    id: 'agent-a1',
    spiffe_id: { trust_domain: real.trustDomain, path: '/agentmesh/a1' },
    parent_id: { trust_domain: real.trustDomain, path: new URL(real.agentId).pathname },
    selectors: [own],
    jwt_svid_ttl: 60,
    hint: 'did:mesh:a1',
  }
  const created = await server.get('BatchCreateEntry', { entries: [entry] })
  assert.equal(at(created, 'results', 0, 'status', 'code'), 0)
  const read = () => server.get('GetEntry', { id: entry.id })
  const before = await read()
  const update = async (selectors: object[]) => {
    const sent = { entries: [{ id: entry.id, selectors }], input_mask: { selectors: true } }
    assert.equal(at(await server.get('BatchUpdateEntry', sent), 'results', 0, 'status', 'code'), 0)
  }
  /** How long it takes until tokens are issued, or are not. */
  const until = async (isIssued: boolean): Promise<number> => {
    const begin = performance.now()
    while (Array.isArray(await fetchTokens(workload, 'bridge')) !== isIssued) t.signal.throwIfAborted()
    return Math.round(performance.now() - begin)
  }
  await until(true)
  await update([own, { type: 'agentmesh', value: 'suspended' }])
  const stoppedMs = await until(false)
  assert.equal(await fetchTokens(workload, 'bridge'), 7)
  await update([own])
  const resumedMs = await until(true)
  t.diagnostic(`issuance stopped after ${stoppedMs} ms and resumed after ${resumedMs} ms`)
  assert.deepEqual(await read(), { ...Object(before), revision_number: '2' })
  assert.equal(list(at(await server.get('ListEntries', {}), 'entries')).length, 1)
})

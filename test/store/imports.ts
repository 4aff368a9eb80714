import assert from 'node:assert/strict'
import type { ImportJob, ImportRow } from '../../src/core/imports.ts'
import type { StoreTest } from './contract.ts'

const job = (id: string, fields: Partial<ImportJob> = {}): ImportJob => ({
  id,
  at: 1,
  name: undefined,
  state: 'staging',
  actor: 'alice',
  roles: ['registrar'],
  requestId: undefined,
  changedAt: 2,
  failure: undefined,
  ...fields,
})
const row = (line: number, fields: Partial<ImportRow> = {}): ImportRow => ({
  line,
  did: `did:mesh:${line}`,
  parentDid: undefined,
  depth: 0,
  state: 'staged',
  body: '{}',
  fault: undefined,
  ...fields,
})
const fault = { code: 'E_X', detail: 'no', hint: 'try', errors: [{ pointer: '/a', code: 'b' }] }
const lines = (rows: readonly ImportRow[]) => rows.map(({ line }) => line)
const start = { depth: -1, line: -1 }

export const importContract = (test: StoreTest): void => {
  test('an import and its rows come back as they went in, the newest import first', async (store) => {
    const full = job('b', {
      at: 5,
      name: 'ü.csv',
      requestId: 'r',
      state: 'checked',
      failure: { code: 'E', detail: 'd' },
    })
    const rows = [row(3, { parentDid: 'did:mesh:x', depth: 2, state: 'bad', body: undefined, fault }), row(9)]
    await store.write(async (tx) => {
      await tx.putImport(job('a'))
      await tx.putImport(job('b'))
      await tx.putImport(full)
      await tx.putImportRows('b', [row(3), rows[1] ?? row(9)])
      await tx.putImportRows('b', rows)
      await tx.putImportRows('a', [])
    })
    assert.deepEqual(await store.importJob('b'), full)
    assert.deepEqual(await store.importJobs(9), [full, job('a')])
    assert.deepEqual(await store.importJobs(1), [full])
    assert.deepEqual(await store.importJobsIn('checked', 2, 9), [full])
    assert.deepEqual(await store.importJobsIn('checked', 1, 9), [])
    assert.deepEqual(await store.importJobsIn('staging', 2, 0), [])
    assert.deepEqual(await store.importRows('b', -1, 9), rows)
    assert.deepEqual(lines(await store.importRows('b', 3, 9)), [9])
    assert.deepEqual(await store.importRows('a', -1, 9), [])
    assert.equal(await store.importJob('c'), undefined)
  })

  test('rows are found by state with parents first, by DID, and by their faults', async (store) => {
    await store.write(async (tx) => {
      await tx.putImport(job('a'))
      const same = { did: 'did:mesh:same' }
      await tx.putImportRows('a', [row(1, { depth: 1 }), row(2, same), row(3, same), row(4), row(5, { depth: 1 })])
      await tx.judgeImportRows('a', [{ line: 4, depth: 0, state: 'bad', fault }])
    })
    assert.deepEqual(lines(await store.importRowsIn('a', 'staged', start, 3)), [2, 3, 1])
    assert.deepEqual(lines(await store.importRowsIn('a', 'staged', { depth: 1, line: 1 }, 9)), [5])
    assert.equal((await store.importRowOf('a', 'did:mesh:same'))?.line, 2)
    assert.equal(await store.importRowOf('a', 'did:mesh:none'), undefined)
    assert.deepEqual(await store.importFaults('a', -1, 9), [row(4, { state: 'bad', fault })])
    assert.deepEqual(await store.importFaults('a', 4, 9), [])
    const counts = (await store.countImportRows('a')).map(({ n, state }) => `${state} ${n}`)
    assert.deepEqual(counts.sort(), ['bad 1', 'staged 4'])
  })

  test('a row that is done keeps nothing of what was given, and only judged rows with a body are staged again', async (store) => {
    await store.write(async (tx) => {
      await tx.putImport(job('a'))
      await tx.putImportRows('a', [row(1), row(2), row(3), row(4, { state: 'bad', body: undefined, fault })])
      await tx.judgeImportRows('a', [
        { line: 1, depth: 0, state: 'registered', fault: undefined, done: true },
        { line: 2, depth: 3, state: 'bad', fault },
        { line: 3, depth: 1, state: 'good', fault: undefined },
      ])
      await tx.restageImportRows('a')
    })
    assert.deepEqual(await store.importRows('a', -1, 9), [
      row(1, { state: 'registered', body: undefined }),
      row(2),
      row(3),
      row(4, { state: 'bad', body: undefined, fault }),
    ])
  })

  test('an import is dropped some rows at a time, itself last', async (store) => {
    await store.write(async (tx) => {
      await tx.putImport(job('a'))
      await tx.putImport(job('b'))
      await tx.putImportRows('a', [row(1), row(2), row(3)])
      await tx.putImportRows('b', [row(1)])
    })
    assert.equal(await store.write((tx) => tx.dropImport('a', 2)), false)
    assert.deepEqual(lines(await store.importRows('a', -1, 9)), [3])
    assert.equal(await store.write((tx) => tx.dropImport('a', 2)), true)
    assert.equal(await store.importJob('a'), undefined)
    assert.deepEqual(lines(await store.importRows('b', -1, 9)), [1])
  })
}

import assert from 'node:assert/strict'
import fc from 'fast-check'
import { codeOf } from '../../src/core/errors.ts'
import type { Lane, Schedule } from '../../src/core/store.ts'
import type { Origin } from '../../src/core/types.ts'
import type { StoreTest } from './contract.ts'
import { account, agent, hold, idle, principal } from './fixture.ts'

const lane = fc.constantFrom<Lane>(0, 1, 2)
const time = fc.integer({ min: 0, max: 50 })
const schedule = fc.record({ nextAt: fc.option(time, { nil: undefined }), lane })
const step = fc.oneof(
  fc.record({ kind: fc.constant('wake' as const), at: time, lane }),
  fc.record({ kind: fc.constant('save' as const), id: fc.nat(4), schedule }),
  fc.record({ kind: fc.constant('ask' as const), id: fc.nat(4), at: time }),
)

const origin = fc.constantFrom<Origin>('adapter:a/1', 'cascade:did:mesh:x', 'policy:p', 'operator:o', 'runtime:r')
const holdStep = fc.oneof(
  fc.record({ kind: fc.constant('place' as const), did: fc.constantFrom('d1', 'd2'), origin }),
  fc.record({ kind: fc.constant('close' as const), nth: fc.nat(20) }),
)

const higher = (a: Lane, b: Lane): Lane => ([0, 1, 2] as const).find((l) => l === a || l === b) ?? a
const sooner = (present: number | undefined, at: number): number => Math.min(present ?? at, at)

export const propertyContract = (test: StoreTest): void => {
  test('wake and due agree with a model of them', async (store) => {
    let run = 0
    const property = fc.asyncProperty(
      fc.array(schedule, { minLength: 5, maxLength: 5 }),
      fc.array(step),
      async (at, steps) => {
        run += 1
        const did = `did:mesh:${run}`
        const adapter = `a${run}`
        const model: Schedule[] = [...at]
        const move = (i: number, to: Schedule) => model.splice(i, 1, to)
        await store.write(async (tx) => {
          await tx.insertAgent(agent(did))
          for (const [i, each] of at.entries()) await tx.insertPrincipal(principal(did, `p${i}`, { adapter }), each)
          for (const s of steps) {
            if (s.kind === 'wake') {
              await tx.wake([did], s.at, s.lane)
              for (const [i, m] of [...model].entries()) {
                move(i, { nextAt: sooner(m.nextAt, s.at), lane: higher(m.lane, s.lane) })
              }
            } else if (s.kind === 'save') {
              await tx.saveAccount({ adapter, id: `p${s.id}` }, account(), s.schedule)
              move(s.id, s.schedule)
            } else {
              await tx.askRead({ adapter, id: `p${s.id}` }, s.at, undefined)
              const m = model[s.id] ?? idle
              move(s.id, { nextAt: sooner(m.nextAt, s.at), lane: m.lane })
            }
          }
        })
        for (const which of [0, 1, 2] as const) {
          const mine = model.flatMap((m, i) =>
            m.lane === which && m.nextAt !== undefined ? [{ id: `p${i}`, at: m.nextAt }] : [],
          )
          const sorted = mine.sort((x, y) => x.at - y.at || (x.id < y.id ? -1 : 1))
          const due = await store.due(adapter, which, 25, 100)
          assert.deepEqual(
            due.map((p) => p.id),
            sorted.filter((m) => m.at <= 25).map((m) => m.id),
          )
          assert.equal(await store.nextDue(adapter, which), sorted[0]?.at)
        }
      },
    )
    await fc.assert(property, { numRuns: 60 })
  })

  test('one open hold per origin that may have only one, whatever is placed and closed', async (store) => {
    let run = 0
    const property = fc.asyncProperty(fc.array(holdStep, { maxLength: 30 }), async (steps) => {
      run += 1
      const open = new Map<string, string>()
      const single = (of: string) => !/^(operator|runtime):/.test(of)
      const placed: { id: string; key: string }[] = []
      for (const [i, s] of steps.entries()) {
        if (s.kind === 'close') {
          const target = placed[s.nth]
          if (target === undefined) continue
          await store.write((tx) => tx.closeHolds([target.id], 99))
          if (open.get(target.key) === target.id) open.delete(target.key)
          continue
        }
        const did = `${s.did}-${run}`
        const key = `${did} ${s.origin}`
        const id = `${run}-${i}`
        const refused = await store
          .write((tx) => tx.insertHold(hold(id, did, { origin: s.origin })))
          .then(
            () => false,
            (error) => codeOf(error) === 'E_EXISTS',
          )
        assert.equal(refused, single(s.origin) && open.has(key))
        if (refused) continue
        placed.push({ id, key })
        open.set(key, id)
      }
      for (const did of ['d1', 'd2']) {
        const origins = (await store.openHolds(`${did}-${run}`)).map((h) => h.origin).filter(single)
        assert.equal(new Set(origins).size, origins.length)
      }
    })
    await fc.assert(property, { numRuns: 25 })
  })
}

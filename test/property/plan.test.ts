import assert from 'node:assert/strict'
import { env } from 'node:process'
import { test } from 'node:test'
import fc from 'fast-check'
import type { PlannedChange } from '../../src/core/plan.ts'
import type { Hold } from '../../src/core/types.ts'
import { minute, type Name, names, type World } from '../engine/harness.ts'
import { rowsOf } from '../store/dump.ts'
import { agents, type Command, command, type Setting, setting } from './model.ts'
import { didOf, Play } from './play.ts'

const numRuns = Number(env['FC_RUNS'] ?? 60)
const seed = env['FC_SEED'] === undefined ? {} : { seed: Number(env['FC_SEED']) }

type Row = `${PlannedChange['change']} ${string}`

const openHolds = async (world: World): Promise<Map<string, Hold>> => {
  const holds = (await Promise.all(agents.map((agent) => world.open(didOf(agent))))).flat()
  return new Map(holds.map((hold) => [hold.id, hold]))
}

const changeOf = (before: Hold | undefined, after: Hold | undefined): PlannedChange['change'] | undefined => {
  if (after === undefined) return 'release'
  if (before === undefined) return 'hold'
  if (before.releasableAt === undefined && after.releasableAt !== undefined) return 'releasable'
  const spelled = ({ severity, guarded, releasableAt }: Hold) => JSON.stringify([severity, guarded, releasableAt])
  return spelled(before) === spelled(after) ? undefined : 'hold-changed'
}

/** A full pass over every directory and what follows from it, at this moment. @returns what it changed */
const passNow = async (world: World): Promise<Row[]> => {
  const before = await openHolds(world)
  const from = names.map((at) => world.directories[at].written.length)
  await world.full()
  for (const runner of world.runners.values()) await runner.groups.sync(world.signal)
  await world.work()
  const after = await openHolds(world)
  const rows: Row[] = []
  for (const id of new Set([...before.keys(), ...after.keys()])) {
    const hold = after.get(id) ?? before.get(id)
    const change = changeOf(before.get(id), after.get(id))
    if (hold !== undefined && change !== undefined) rows.push(`${change} ${hold.did} ${hold.origin} ${hold.guarded}`)
  }
  for (const [n, at] of names.entries()) {
    const written = world.directories[at].written.slice(from[n])
    for (const { action, id } of written) rows.push(`${action === 'disable' ? 'switch-off' : 'switch-on'} ${at}/${id}`)
  }
  return rows.sort()
}

const planNow = async (world: World) => {
  const plan = await world.bridge.plan(undefined, world.signal)
  const rows = plan.adapters.flatMap(({ adapter, changes, faults }) => {
    assert.deepEqual(faults, [], 'every directory answers')
    return changes.map(({ because, change, dids, guarded, principal }): Row => {
      const isWrite = change === 'switch-off' || change === 'switch-on'
      return isWrite ? `${change} ${adapter}/${principal}` : `${change} ${dids.join()} ${because.join()} ${guarded}`
    })
  })
  return { hash: plan.hash, rows: rows.sort() }
}

/** Nothing that was set to fail does so, and what waited for that may go on. */
const answering = async (world: World): Promise<void> => {
  world.dieAt = undefined
  for (const at of names) {
    const { feed, logFaults, reads, writes } = world.directories[at]
    for (const faults of [reads, writes, feed, logFaults]) faults.clear()
  }
  await world.clock.advance(minute)
}

const isPlayed = ({ do: what }: Command): boolean => what !== 'die'

const compare = async (chosen: Setting, commands: readonly Command[]): Promise<number> => {
  await using play = await Play.open(chosen)
  const { world } = play
  for (const one of commands.filter(isPlayed)) await play.play(one)
  await answering(world)

  const stored = rowsOf(world.path)
  const written = (at: Name) => world.directories[at].written.length
  const before = names.map(written)
  const plan = await planNow(world)
  assert.equal(rowsOf(world.path), stored, 'a plan leaves the store as it was')
  assert.deepEqual(names.map(written), before, 'a plan writes to no directory')
  assert.equal((await planNow(world)).hash, plan.hash, 'the same is planned again')

  assert.deepEqual(await passNow(world), plan.rows, 'the pass does what was planned, and nothing more')
  return plan.rows.length
}

test('a pass does exactly what the plan before it told, and the plan itself does nothing', async () => {
  let told = 0
  const commands = fc.array(command(false), { minLength: 3, maxLength: 30 })
  const property = fc.asyncProperty(setting, commands, async (chosen, list) => {
    told += await compare(chosen, list)
  })
  await fc.assert(property, {
    numRuns: Math.ceil(numRuns * 0.6),
    ...seed,
    endOnFailure: env['FC_SHRINK'] === undefined,
  })
  assert.ok(told > 0, 'some plans had something to tell')
})

import assert from 'node:assert/strict'
import { env } from 'node:process'
import { test } from 'node:test'
import fc from 'fast-check'
import { names } from '../engine/harness.ts'
import { accountOf, agents, type Command, command, homes, type Setting, setting, sharedId } from './model.ts'
import { didOf, Play } from './play.ts'
import { sharedAtRest } from './sharing.ts'

const numRuns = Number(env['FC_RUNS'] ?? 60)
const seed = env['FC_SEED'] === undefined ? {} : { seed: Number(env['FC_SEED']) }
const bounds = { numRuns, ...seed, endOnFailure: env['FC_SHRINK'] === undefined }

const playAll = async (chosen: Setting, commands: readonly Command[], racing = false): Promise<void> => {
  await using play = await Play.open(chosen, racing)
  const { world } = play
  const live = new Set<string>()
  for (const [n, one] of commands.entries()) {
    await play.play(one)
    if (n % 5 === 0) play.position = await play.consume(live, play.position)
  }
  await play.calm()
  assert.deepEqual(world.violations, [])
  await atRest(play)
  await sharedAtRest(play)

  // Nothing oscillates: another hour brings neither a write nor a hold.
  const written = names.map((at) => world.directories[at].written.length)
  const placed = (await world.bridge.audit({ limit: 10_000 })).items.filter(({ type }) =>
    type.startsWith('hold.'),
  ).length
  await world.full()
  await world.settleAll(60 * 60_000)
  assert.deepEqual(
    names.map((at) => world.directories[at].written.length),
    written,
    'I5: it writes on',
  )
  const audit = (await world.bridge.audit({ limit: 10_000 })).items
  assert.equal(audit.filter(({ type }) => type.startsWith('hold.')).length, placed, 'I5: it holds on')

  // I7: the chain verifies, with one entry for each hold placed and each released.
  assert.equal((await world.bridge.verifyAudit()).ok, true)
  const holds = (await Promise.all(agents.map((agent) => world.store.holdsOf(didOf(agent), 10_000)))).flat()
  const entries = (type: string) => audit.filter((entry) => entry.type === type).map(({ hold }) => hold)
  assert.deepEqual(entries('hold.placed').sort(), holds.map(({ id }) => id).sort(), 'I7: placed')
  const closed = holds.filter(({ releasedAt }) => releasedAt !== undefined)
  assert.deepEqual(entries('hold.released').sort(), closed.map(({ id }) => id).sort(), 'I7: released')

  // I11: from the start, from where it stood, and from a snapshot.
  const told = new Set<string>()
  for (const agent of agents) {
    const open = await world.open(didOf(agent))
    if (open.some(({ guarded }) => !guarded)) told.add(didOf(agent))
    else if (open.length > 0) told.delete(didOf(agent))
  }
  await play.consume(live, play.position)
  const replayed = new Set<string>()
  await play.consume(replayed, 'generation-0')
  const snapshot = new Set<string>()
  await play.consume(snapshot, undefined)
  for (const did of told) {
    assert.ok(live.has(did), `I11: ${did} is held, but not to a live consumer`)
    assert.ok(replayed.has(did), `I11: ${did} is held, but not to one that read everything`)
  }
  assert.deepEqual([...snapshot].sort(), [...told].sort(), 'I11: snapshot')
}

/** I5 and I9, and what every row must look like when nothing moves. */
const atRest = async (play: Play): Promise<void> => {
  const { world, setting: chosen } = play
  const waits = new Set<string>()
  for (const at of names) {
    const { suspend, resume } = await world.bridge.guard(at)
    for (const { plan } of [suspend, resume]) for (const { holdId } of plan?.rows ?? []) waits.add(holdId)
    for (const { approval, plan } of [suspend, resume]) {
      assert.notEqual(plan?.rows.length, 0, `tripped for ever with nothing behind it: ${at}`)
      assert.ok(approval?.second === undefined, `approved, yet never applied: ${at}`)
    }
  }
  for (const agent of agents) {
    const open = await world.open(didOf(agent))
    for (const at of homes[agent]) {
      if (accountOf(chosen, at, agent) === sharedId) continue
      const mode = world.settings[at].mirror
      const account = await world.account(at, agent)
      const own = open.find(({ origin }) => origin === `adapter:${at}/${agent}`)
      const others = open.filter((hold) => hold !== own)
      const truth = world.directories[at].current(agent)
      const on = truth?.enabled === true && truth.vendor === 'on'
      const say = `${at}/${agent} (${chosen.south}): ${JSON.stringify({ account, truth, open })}`
      const writes = mode === 'both' || mode === 'outbound'
      if (!writes) assert.equal(world.writes(at, agent).length, 0, `writes though ${mode}: ${say}`)
      if (mode === 'outbound' || mode === 'observe') {
        assert.ok(own === undefined || own.evidence['cause'] === 'unproven', `own hold though ${mode}: ${say}`)
      }
      if (own !== undefined && on) {
        assert.ok(own.releasableAt !== undefined, `I9: dead own hold: ${say}`)
        assert.ok(chosen.resume === 'approval' || waits.has(own.id), `I9: waits for nobody: ${say}`)
      }
      if (own?.guarded && own.releasableAt === undefined) {
        assert.ok(waits.has(own.id), `I9: kept back by nothing: ${say}`)
      }
      if (!writes) continue
      if (others.some(({ guarded }) => !guarded) && (own === undefined || own.releasableAt !== undefined)) {
        const left = account.driftAcceptedAt !== undefined && others.every(({ severity }) => severity === 'suspend')
        assert.ok(!on || left, `I5: held but on: ${say}`)
      }
      if (open.length === 0) {
        assert.equal(account.mark, 'none', `I5: a mark without a hold: ${say}`)
        const may = account.overriddenAt !== undefined || mode === 'outbound'
        assert.ok(on || may, `I5: off without a hold: ${say}`)
      }
      assert.equal(account.inFlightUntil, undefined, `in flight for ever: ${say}`)
      assert.equal(account.putBack, false, `put back for ever: ${say}`)
    }
  }
}

for (const { what, jumps, racing, share } of [
  { what: 'any interleaving', jumps: false, racing: false, share: 1 },
  { what: 'any interleaving, on a wall clock that jumps', jumps: true, racing: false, share: 0.4 },
  { what: 'any interleaving, with slow directories and all loops at once', jumps: false, racing: true, share: 0.6 },
]) {
  test(`${what}: the invariants hold`, async () => {
    const commands = fc.array(command(jumps), { minLength: 5, maxLength: 45 })
    const property = fc.asyncProperty(setting, commands, (chosen, list) => playAll(chosen, list, racing))
    await fc.assert(property, { ...bounds, numRuns: Math.ceil(numRuns * share) })
  })
}

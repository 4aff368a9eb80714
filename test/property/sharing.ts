import assert from 'node:assert/strict'
import { sharedId } from './model.ts'
import type { Play } from './play.ts'

/** I5 and I9 of an account that several agents share: off exactly while all of them are held, or somebody else wants it so. */
export const sharedAtRest = async ({ setting, world }: Play): Promise<void> => {
  const key = { adapter: 'north', id: sharedId }
  const sharers = await world.store.sharersOf(key)
  if (sharers.length === 0) return
  const account = await world.account('north', sharedId)
  const truth = world.north.current(sharedId)
  const on = truth?.enabled === true && truth.vendor === 'on'
  const held = []
  for (const { did } of sharers) {
    const open = await world.open(did)
    const own = open.find(({ origin }) => origin === `adapter:north/${sharedId}`)
    held.push({ did, own, others: open.filter((hold) => hold !== own) })
  }
  const say = `shared account: ${JSON.stringify({ setting, account, truth, held })}`
  const owns = held.flatMap(({ own }) => own ?? [])
  const theirs = owns.some(({ releasableAt }) => releasableAt === undefined)
  const driven = held.every(({ others }) => others.some(({ guarded }) => !guarded))
  if (on) {
    assert.ok(!theirs, `I9: dead own hold: ${say}`)
    if (owns.length > 0)
      assert.ok(setting.resume === 'approval' || setting.guardMax < 50, `I9: waits for nobody: ${say}`)
  }
  if (driven && !theirs) {
    const all = held.flatMap(({ others }) => others)
    const left = account.driftAcceptedAt !== undefined && all.every(({ severity }) => severity === 'suspend')
    assert.ok(!on || left, `I5: all are held but it is on: ${say}`)
  }
  const overridden = account.overriddenAt !== undefined
  if (owns.length === 0 && held.some(({ others }) => others.length === 0)) {
    assert.equal(account.mark, 'none', `I5: a mark though not all are held: ${say}`)
    assert.ok(on || overridden, `I5: off though not all are held: ${say}`)
  }
  if (!on && account.mark === 'none' && !overridden) {
    assert.equal(owns.length, held.length, `off by somebody else, and not all are held for it: ${say}`)
  }
  assert.equal(account.inFlightUntil, undefined, `in flight for ever: ${say}`)
  assert.equal(account.putBack, false, `put back for ever: ${say}`)
}

import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as pause } from 'node:timers/promises'
import { at } from '../e2e/json.ts'
import type { Play } from './actions.ts'
import { didOf } from './ledger.ts'
import { askReceipts } from './receipts.ts'

/** An enable that was on its way when the hold was committed is not counted against I2: loopback, and what processes waited. */
const wireMs = 500
const windowMs = 2000

/** The longest that something took of late, in this window or the one before: what it delayed may come to light later. */
class Longest {
  #before = 0
  #now = 0

  note(ms: number): void {
    this.#now = Math.max(this.#now, ms)
  }

  turn(): void {
    this.#before = this.#now
    this.#now = 0
  }

  get ms(): number {
    return Math.max(this.#before, this.#now)
  }
}

/** What must be true at every moment: checked until the signal. */
export const always = async (play: Play, signal: AbortSignal): Promise<void> => {
  const delay = monitorEventLoopDelay({ resolution: 20 })
  delay.enable()
  const waits = new Longest()
  const { journal, ledger, members, samples, truth } = play
  truth.onEnable = (adapter, id, atMs) => {
    const did = didOf(members, id)
    waits.note(delay.max / 1e6)
    const slackMs = wireMs + 2 * waits.ms
    const hold = did === undefined ? undefined : ledger.binding(did, atMs - slackMs)
    journal.check(
      'I2',
      hold === undefined,
      () =>
        `${adapter}/${id} was switched on at ${new Date(atMs).toISOString()}, ${atMs - (hold?.ackedAt ?? 0)} ms after the hold ${hold?.id} was acknowledged`,
      [did ?? '', id],
    )
  }
  const look = async () => {
    while (!signal.aborted) {
      truth.look()
      samples.look()
      await pause(25)
    }
  }
  const reset = async () => {
    while (!signal.aborted) {
      await pause(windowMs)
      waits.note(delay.max / 1e6)
      waits.turn()
      delay.reset()
    }
  }
  await Promise.all([
    look(),
    reset(),
    ask(play, signal, waits),
    ask(play, signal, waits),
    askSamples(play, signal),
    askReceipts(play, signal),
  ])
  delay.disable()
  truth.onEnable = undefined
}

/** I1: asked by DID or by token, an agent with an acknowledged hold is denied. */
const ask = async (play: Play, signal: AbortSignal, waits: Longest): Promise<void> => {
  const { daemon, journal, ledger, members, random, tenancies } = play
  while (!signal.aborted) {
    await pause(50)
    const { standing } = ledger
    const hold = standing[Math.floor(random() * standing.length)]
    if (hold === undefined) continue
    const bound = members.filter(({ did }) => play.registered.has(did) && ledger.ancestry(did).includes(hold.did))
    const member = bound[Math.floor(random() * bound.length)]
    if (member === undefined) continue
    const account = member.accounts[0]
    const token = account && random() < 0.3 ? tenancies[account.adapter].token(account.id, account.kind) : undefined
    const byToken = token !== undefined
    const question = byToken ? { token } : { did: member.did }
    const asked = performance.now()
    const answer = await daemon.post('gateway', '/v1/decisions', question)
    // By DID it asks nobody else: what it took, the daemon had to wait for its turn.
    if (answer !== undefined && !byToken) waits.note(performance.now() - asked)
    if (answer === undefined || hold.releasing || hold.releasedAt !== undefined) continue
    journal.check(
      'I1',
      answer.status === 200 ? at(answer.body, 'allow') === false : answer.status >= 500,
      () => `asked by ${byToken ? 'token' : 'DID'}, ${answer.status} ${answer.text} though ${hold.id} is open`,
      [member.did, hold.id, hold.did],
    )
  }
}

const askSamples = async (play: Play, signal: AbortSignal): Promise<void> => {
  while (!signal.aborted) {
    await pause(20)
    for (const did of play.samples.asked.slice(0, 5)) {
      const answer = await play.daemon.post('gateway', '/v1/decisions', { did })
      if (answer?.status === 200 && at(answer.body, 'allow') === false) play.samples.denied(did)
    }
  }
}

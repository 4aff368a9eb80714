import { setTimeout as pause } from 'node:timers/promises'
import { at, listAt, textAt } from '../e2e/json.ts'
import type { Play } from './actions.ts'
import type { Person } from './daemon.ts'

export const kill = async (play: Play, did: string, by: Person = 'runtime'): Promise<void> => {
  const { daemon, journal, ledger, samples } = play
  const idle = samples.beforeKill(did)
  const answer = await daemon.post(by, '/v1/kill', { agentId: did, reason: 'chaos' })
  journal.note('ask', [did], `kill by ${by}: ${answer?.status ?? 'no answer'}`)
  if (answer?.status !== 202) return
  journal.count('kills')
  ledger.acknowledged(textAt(answer.body, 'holdId'), did, by, 'kill')
  samples.killed(did, idle)
}

/** Nobody registers them: with these a kill is one of a crowd, in the lane that leaves single ones theirs. */
export const crowd = Array.from({ length: 101 }, (_, number) => `did:agentmesh:crowd-${number}`)

/** Repeated with its key until it is answered: whatever crashed in between, all are held then, by the one kill. */
export const killMany = async (
  play: Play,
  dids: readonly string[],
  others: readonly string[],
  key: string,
): Promise<void> => {
  const { daemon, journal, ledger } = play
  for (let tries = 0; tries < 30; tries++) {
    const headers = { 'idempotency-key': key }
    const body = { agentIds: [...dids, ...others], reason: `chaos ${key}` }
    const answer = await daemon.ask('runtime', '/v1/kill', { method: 'POST', body, headers })
    journal.note('ask', dids, `kill of ${body.agentIds.length}: ${answer?.status ?? 'no answer'}`)
    if (answer === undefined || answer.status >= 500) {
      await pause(2000)
      continue
    }
    // Held by a try that was not answered, and all of them released since.
    if (at(answer.body, 'code') === 'E_IDEMPOTENCY_RELEASED') return
    const items = answer.status === 202 ? listAt(answer.body, 'items') : []
    const isWhole = at(answer.body, 'placed') === body.agentIds.length
    const areHeld = dids.every((did) => items.some((one) => at(one, 'did') === did))
    journal.check('I1', isWhole && areHeld, () => `a kill of many: ${answer.status} ${answer.text}`, dids)
    for (const one of items) {
      const did = textAt(one, 'did')
      if (at(one, 'released') === false && dids.includes(did))
        ledger.acknowledged(textAt(one, 'holdId'), did, 'runtime', 'kill')
    }
    journal.count('kills of many')
    return
  }
}

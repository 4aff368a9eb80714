import { setTimeout as pause } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { compactVerify, createLocalJWKSet, type JSONWebKeySet } from 'jose'
import { at, listAt, textAt } from '../e2e/json.ts'
import { type Play, pathOf } from './actions.ts'
import { pace } from './daemon.ts'
import { isAdapter } from './fleet.ts'

/** What is wrong with a receipt: text and account, where it is about one. */
type Wrong = readonly [text: string, id: string | undefined]

/** Nothing more will happen to such a leg. */
const ended: readonly unknown[] = ['closed', 'unsupported', 'shared']
/** A read that closes a leg begins then, and is answered this much later at the latest. */
const readMs = 30_000

const keysOf = async ({ daemon }: Play) => {
  const answer = await daemon.ask('runtime', '/.well-known/jwks.json')
  if (answer?.status !== 200) return undefined
  const keys: JSONWebKeySet['keys'] = listAt(answer.body, 'keys').map((one) => ({
    kty: textAt(one, 'kty'),
    crv: textAt(one, 'crv'),
    x: textAt(one, 'x'),
    kid: textAt(one, 'kid'),
    alg: textAt(one, 'alg'),
  }))
  return createLocalJWKSet({ keys })
}

type Keys = NonNullable<Awaited<ReturnType<typeof keysOf>>>

/** Undefined: it is signed by a published key, and nothing but what was signed stands beside the signature. */
const badSignature = async (body: unknown, keys: Keys): Promise<string | undefined> => {
  const { jws, ...beside } = typeof body === 'object' && body !== null ? { jws: undefined, ...body } : {}
  try {
    const { payload, protectedHeader } = await compactVerify(String(jws), keys, { algorithms: ['EdDSA'] })
    if (protectedHeader.typ !== 'receipt+jws') return `it is signed as ${String(protectedHeader.typ)}`
    const signed: unknown = JSON.parse(new TextDecoder().decode(payload))
    return isDeepStrictEqual(signed, beside) ? undefined : 'it says something else than what was signed'
  } catch (error) {
    return `its signature does not verify: ${String(error)}`
  }
}

/** A leg that says closed: the account must have been off when the read that closed it was on its way. */
const untrueLegs = ({ journal, truth }: Play, body: unknown): Wrong[] => {
  // A wrong clock of the daemon makes its times incomparable with ours.
  if (journal.counts.has('fault daemon-clock')) return []
  return listAt(body, 'legs').flatMap((leg): Wrong[] => {
    const closedAt = at(leg, 'closedAt')
    if (at(leg, 'type') !== 'account' || at(leg, 'state') !== 'closed' || typeof closedAt !== 'string') return []
    const [id, begun] = [textAt(leg, 'id'), Date.parse(closedAt)]
    if (truth.was(id, 'off', begun - pace.settleMs.chaos, begun + readMs)) return []
    return [[`its leg of ${id} closed at ${closedAt}, when the account was on`, id]]
  })
}

/** Asks for one receipt. Undefined: no answer now. */
const ask = async (
  play: Play,
  did: string,
  hold: string,
  keys: Keys,
): Promise<{ body: unknown; wrong: Wrong[] } | undefined> => {
  const answer = await play.daemon.ask('alice', pathOf(did, `/receipts/${hold}`))
  if (answer === undefined || answer.status >= 500) return undefined
  if (answer.status !== 200) return { body: { legs: [] }, wrong: [[`there is none: ${answer.text}`, undefined]] }
  play.journal.count('receipts')
  const bad = await badSignature(answer.body, keys)
  const wrong = untrueLegs(play, answer.body)
  return { body: answer.body, wrong: bad === undefined ? wrong : [[bad, undefined], ...wrong] }
}

/** All the while: whatever a receipt says of an acknowledged hold is signed, and true. */
export const askReceipts = async (play: Play, signal: AbortSignal): Promise<void> => {
  const { journal, ledger, random, registered } = play
  let keys: Keys | undefined
  while (!signal.aborted) {
    await pause(250)
    keys ??= await keysOf(play)
    const { standing } = ledger
    const hold = standing[Math.floor(random() * standing.length)]
    if (hold === undefined || keys === undefined || !registered.has(hold.did)) continue
    const told = await ask(play, hold.did, hold.id, keys)
    if (told === undefined) continue
    const [first] = told.wrong
    journal.check('receipt', first === undefined, () => `the one of ${hold.id}: ${first?.[0]}`, [
      hold.did,
      hold.id,
      ...(first?.[1] === undefined ? [] : [first[1]]),
    ])
  }
}

/**
 * At rest: every leg of every open hold has come to its end, and says what is so. A runtime that missed the signal of a
 * hold answers for it first, as one does after a snapshot. Undefined: no answer now.
 */
export const openLegs = async (
  play: Play,
  acked: ReadonlySet<string>,
): Promise<(readonly [text: string, about: readonly string[]])[] | undefined> => {
  const { daemon, registered, truth } = play
  const listed = await daemon.ask('alice', '/v1/agents?limit=1000')
  const keys = await keysOf(play)
  if (listed?.status !== 200 || keys === undefined) return undefined
  const found: (readonly [string, readonly string[]])[] = []
  const agents = listAt(listed.body, 'items').filter((agent) => registered.has(textAt(agent, 'did')))
  for (const [agent, hold] of agents.flatMap((one) => listAt(one, 'holds').map((hold) => [one, hold] as const))) {
    const [did, id] = [textAt(agent, 'did'), textAt(hold, 'id')]
    // Placed while the daemon's clock ran ahead: no read is later than that before the right clock has caught up.
    const isOfTheFuture = Date.parse(textAt(hold, 'placedAt')) + pace.settleMs.chaos > Date.now()
    const told = await ask(play, did, id, keys)
    if (told === undefined) return undefined
    for (const [text, account] of told.wrong) found.push([`the one of ${id}: ${text}`, [did, id, account ?? '']])
    const legs = listAt(told.body, 'legs')
    for (const leg of legs) {
      const [type, state] = [at(leg, 'type'), at(leg, 'state')]
      const account = type === 'account' ? textAt(leg, 'id') : ''
      const principal = listAt(agent, 'principals').find((one) => at(one, 'id') === account)
      // Somebody else insists, or two people said so: it stays on.
      const excused = ['contested', 'overridden'].some((name) => at(principal, 'account', name) === true)
      if (state === 'closed' && type === 'account' && !excused) {
        const adapter = textAt(leg, 'adapter')
        const on = isAdapter(adapter) && truth.isOn({ adapter, id: account })
        if (on)
          found.push([`the one of ${id}: its leg of ${account} is closed, and the account is on`, [did, id, account]])
      }
      if (ended.includes(state) || excused || (isOfTheFuture && at(leg, 'reason') === 'settling')) continue
      if (type === 'runtime' && !acked.has(id)) {
        await daemon.post('runtime', '/v1/kill', { agentId: did, reason: 'stopped', inResponseTo: id })
      }
      // The cascade hold of a descendant is open too, and its own receipt says more.
      if (type !== 'descendant')
        found.push([`the one of ${id} has an open leg: ${JSON.stringify(leg)}`, [did, id, account]])
    }
    const isWhole = legs.every((leg) => at(leg, 'state') === 'closed')
    if (isWhole !== (at(told.body, 'status') === 'closed'))
      found.push([`the one of ${id} is ${String(at(told.body, 'status'))}, not what its legs are`, [did, id]])
  }
  return found
}

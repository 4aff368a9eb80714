import { type Alias, aliasesMost, aliasText, type Vouched } from '../core/aliases.ts'
import type { AuditEvent } from '../core/audit.ts'
import { parseDid } from '../core/did.ts'
import { BridgeError } from '../core/errors.ts'
import { isOwn } from '../core/holds.ts'
import type { Did, Hold } from '../core/types.ts'
import { fitOf, parseAgentKey, verifySignature } from '../lib/agentkey.ts'
import type { AgentInput, AliasInput } from './agentapi.ts'
import type { Change } from './change.ts'
import { openOf } from './claiming.ts'
import { holdEvent } from './holdaudit.ts'
import { cascadeAll, signalHold } from './placing.ts'
import { record } from './recording.ts'

/** One alias as it was offered, its proof with it. */
export interface Offered {
  readonly did: Did
  readonly signature?: string | undefined
  readonly key?: string | undefined
}

/**
 * The aliases of a registration, each once; undefined when nothing is said of them.
 * @throws BridgeError E_DID, E_ALIAS, E_KEY
 */
export const aliasesIn = ({ did, aliases }: Pick<AgentInput, 'did' | 'aliases'>): readonly Offered[] | undefined => {
  if (aliases === undefined) return undefined
  const offered = new Map(aliases.map(offer).map((one) => [one.did, one]))
  if (offered.has(did)) throw refused('It is the DID of the agent itself.')
  if (offered.size > aliasesMost) {
    throw new BridgeError('E_VALIDATION', `An agent has at most ${aliasesMost} aliases.`, {
      details: [{ pointer: '/aliases', code: 'too_big' }],
    })
  }
  return [...offered.values()]
}

const offer = (one: AliasInput): Offered => {
  if (typeof one === 'string') return { did: parseDid(one) }
  const { did, key, signature } = one
  return { did: parseDid(did), signature, key: key === undefined ? undefined : parseAgentKey(key) }
}

const refused = (why: string) =>
  new BridgeError('E_ALIAS', `The alias is not accepted. ${why}`, {
    hint: 'An alias is derived from a key of the agent, signed by one, or declared by an operator.',
  })

const taken = (alias: Did, other: Did | undefined) =>
  new BridgeError('E_EXISTS', 'The alias is a DID of its own, or that of another agent.', {
    hint:
      other === undefined
        ? `${alias} is registered; one agent cannot be another's alias.`
        : `${alias} is an alias of ${other}.`,
  })

/** Makes these the aliases of the agent; undefined leaves them. What is held under a new one is the agent's from here on. */
export const setAliases = async (
  c: Change,
  did: Did,
  wanted: readonly Offered[] | undefined,
  isOperator: boolean,
): Promise<void> => {
  if (wanted === undefined) return
  const present = await c.tx.aliasesOf(did)
  const gone = present.filter(({ alias }) => !wanted.some((one) => one.did === alias))
  if (gone.length > 0 && (await c.tx.openHolds(did)).length > 0) {
    throw new BridgeError('E_HELD', 'An alias cannot be removed while the agent is held.', {
      hint: 'A runtime may know the agent by this spelling alone; release every hold first.',
    })
  }
  for (const { alias } of gone) await c.tx.dropAlias(alias)
  const added: Alias[] = []
  for (const one of wanted) {
    if (present.some(({ alias }) => alias === one.did)) continue
    if ((await c.tx.agent(one.did)) !== undefined) throw taken(one.did, undefined)
    const other = await c.tx.aliased(one.did)
    if (other !== undefined) throw taken(one.did, other)
    const alias = { alias: one.did, did, how: await vouched(c, did, one, isOperator), at: c.now }
    await c.tx.insertAlias(alias)
    added.push(alias)
  }
  if (added.length > 0) await takeOver(c, did, added)
}

/** A proof that is offered must hold, whoever offers it. */
const vouched = async (c: Change, did: Did, offered: Offered, isOperator: boolean): Promise<Vouched> => {
  const { did: alias, key, signature } = offered
  const keys = (await c.tx.keysOf(did)).map((one) => one.key)
  if (key !== undefined && !keys.includes(key)) throw refused('The key is none of the agent.')
  if (signature !== undefined) {
    const text = new TextEncoder().encode(aliasText(did, alias))
    const signers = key === undefined ? keys : [key]
    if (signers.some((one) => verifySignature(one, text, signature))) return 'signature'
    throw refused('No key of the agent made the signature.')
  }
  if (keys.some((one) => fitOf(alias, one) === 'fits')) return 'fingerprint'
  if (isOperator) return 'asserted'
  throw refused('Nothing shows that it is the same agent.')
}

const pastHolds = 10_000

/** The agent is held by what was placed on its aliases before they were (rule 13), and every runtime hears all its names. */
const takeOver = async (c: Change, did: Did, added: readonly Alias[]): Promise<void> => {
  const before = await c.tx.openHolds(did)
  const moved: (readonly [Did, readonly Hold[]])[] = []
  for (const { alias } of added) {
    const holds = (await c.tx.holdsOf(alias, pastHolds)).map((hold) => ({ ...hold, did }))
    if (holds.length === 0) continue
    await c.tx.moveHolds(alias, did)
    moved.push([alias, holds])
  }
  const open = await openOf(c, [{ did }])
  for (const [alias, holds] of moved) {
    const stillOpen = holds.filter(({ releasedAt }) => releasedAt === undefined)
    if (stillOpen.length > 0) await record(c, 'hold.moved', stillOpen, open, { from: alias })
    await auditReleased(c, did, alias, holds)
    if (stillOpen.some(isOwn)) await cascadeAll(c, [did])
  }
  for (const hold of before) await signalHold(c, hold)
  await noteReleases(
    c,
    did,
    moved.flatMap(([, holds]) => holds),
  )
}

const auditReleased = async (c: Change, did: Did, alias: Did, holds: readonly Hold[]): Promise<void> => {
  const agent = await c.tx.agent(did)
  const of = { agent, principals: await c.tx.principalsOf(did), open: await c.tx.openHolds(did) }
  const events: AuditEvent[] = holds
    .filter(({ releasedAt }) => releasedAt !== undefined)
    .map((hold) => holdEvent(c, 'hold.moved', hold, of, { from: alias, released: true }))
  await c.tx.appendAudits(events)
}

/** Tokens from before the latest release under any spelling stay refused (rule 1). */
const noteReleases = async (c: Change, did: Did, holds: readonly Hold[]): Promise<void> => {
  const agent = await c.tx.agent(did)
  const latest = Math.max(...holds.map(({ releasedAt }) => releasedAt ?? Number.NEGATIVE_INFINITY))
  if (agent === undefined || !(latest > (agent.resumedAt ?? Number.NEGATIVE_INFINITY))) return
  await c.tx.saveAgent({ ...agent, resumedAt: latest })
}

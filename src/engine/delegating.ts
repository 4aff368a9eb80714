import { parseCapability } from '../core/capabilities.ts'
import {
  type Delegation,
  delegationSource,
  delegationText,
  type Link,
  mostHops,
  widenings,
} from '../core/delegation.ts'
import { BridgeError } from '../core/errors.ts'
import type { StoreReads } from '../core/store.ts'
import type { Agent, Did } from '../core/types.ts'
import { parseAgentKey, verifySignature } from '../lib/agentkey.ts'
import type { AgentInput } from './agentapi.ts'
import { topics } from './bus.ts'
import type { Change } from './change.ts'
import type { DelegationInput } from './delegationapi.ts'
import { effectiveIn } from './granting.ts'
import { depthLimits } from './limits.ts'
import { spellingsOf } from './naming.ts'
import { keysOf } from './parentkeys.ts'
import { delegatedAs, delegationInput } from './registration.ts'

/** @throws BridgeError E_VALIDATION, E_CAPABILITY, E_KEY */
export const checkDelegation = ({ delegation, parentDid }: AgentInput): void => {
  if (delegation === undefined || delegation === null) return
  if (parentDid === undefined || parentDid === null) {
    throw new BridgeError('E_VALIDATION', 'A delegation needs the parent that granted it.', {
      hint: 'Send parentDid with it.',
      details: [{ pointer: '/parentDid', code: 'required' }],
    })
  }
  for (const name of delegation.capabilities) parseCapability(name)
  expiryOf(delegation)
  if (delegation.proof?.key !== undefined) parseAgentKey(delegation.proof.key)
}

const tooDeep = (message: string, hint: string) => new BridgeError('E_DEPTH', message, { hint })

/**
 * Whether an agent, with all that descends from it, may stand under this parent: no chain has more hops than the blueprint
 * of any agent above allows.
 * @throws BridgeError E_DEPTH
 */
export const checkDepth = async (c: Change, did: Did, parentDid: Did): Promise<void> => {
  const above = await c.tx.chain(parentDid)
  const below = await c.tx.heightBelow(did)
  if (above.length + below > mostHops) {
    throw tooDeep(`The chain would have more than ${mostHops} hops.`, 'Delegate from an agent nearer to the root.')
  }
  const limitOf = await depthLimits(c.tx, above)
  for (const [at, link] of above.entries()) {
    const limit = limitOf(link)
    if (limit === undefined || at + 1 + below <= limit) continue
    throw tooDeep(
      `The blueprint of ${link.did} allows ${limit} hops below it, and there would be ${at + 1 + below}.`,
      'Delegate from an agent nearer to it, or raise maxDelegationDepth of its blueprint.',
    )
  }
}

/**
 * Keeps, replaces or withdraws what the parent granted, as the registration says. What is kept is not judged again: a
 * parent that has less by now leaves less, and nobody has to be asked. Call it when the agent stands under its parent. True
 * when anything changed.
 * @throws BridgeError E_VALIDATION, E_WIDENING, E_DEPTH, E_DELEGATION_PROOF
 */
export const delegate = async (
  c: Change,
  before: Agent | undefined,
  agent: Agent,
  input: AgentInput,
): Promise<boolean> => {
  const { tx } = c
  const { did, parentDid } = agent
  const present = before === undefined ? undefined : await tx.delegation(did)
  const moved = before !== undefined && before.parentDid !== parentDid
  const given = input.delegation ?? undefined
  const above = parentDid === undefined ? [] : await tx.chain(parentDid)
  const depth = above.length
  if (given?.depth !== undefined && given.depth !== depth) {
    throw tooDeep(`The agent is ${depth} hops from its root, not ${given.depth}.`, 'Leave depth away, or correct it.')
  }
  if (!moved && delegatedAs(given) === delegatedAs(present && delegationInput(present))) return false
  if (present !== undefined) {
    for (const name of present.capabilities) await tx.deleteSource(did, name, delegationSource(present.parentDid))
    await tx.deleteDelegation(did)
  }
  if (given === undefined || parentDid === undefined) return present !== undefined
  const delegation = await accepted(c, { did, parentDid }, above, given)
  await tx.putDelegation(delegation)
  const source = delegationSource(parentDid)
  for (const capability of delegation.capabilities) {
    await tx.putSource({ did, capability, source, confirmedAt: c.now })
  }
  c.after(() => c.deps.bus.wake(topics.delegations))
  return true
}

const accepted = async (
  c: Change,
  { did, parentDid }: { readonly did: Did; readonly parentDid: Did },
  above: readonly Link[],
  given: DelegationInput,
): Promise<Delegation> => {
  const depth = above.length
  const expiresAt = expiryOf(given)
  if (expiresAt !== undefined && expiresAt <= c.now) {
    throw new BridgeError('E_VALIDATION', 'The delegation would have ended already.', {
      hint: 'Give an expiresAt in the future.',
      details: [{ pointer: '/delegation/expiresAt', code: 'past' }],
    })
  }
  const wider = widenings(given.capabilities, effectiveIn(above, c.now)(parentDid))
  if (wider.length > 0) {
    throw new BridgeError('E_WIDENING', 'The parent does not have what it would grant.', {
      hint: 'Grant what the effective capabilities of the parent cover.',
      details: wider.map((at) => ({ pointer: `/delegation/capabilities/${at}`, code: 'widening' })),
    })
  }
  const capabilities = [...new Set(given.capabilities)].sort()
  const granted = { parent: parentDid, child: did, capabilities, depth, expiresAt }
  const signed = given.proof ? await signedBy(c.tx, granted, given.proof) : undefined
  return {
    did,
    parentDid,
    capabilities,
    grantedAt: c.now,
    grantedBy: c.actor,
    expiresAt,
    endedAt: undefined,
    key: signed?.key,
    signature: signed?.signature,
  }
}

const signedBy = async (
  reads: StoreReads,
  granted: Parameters<typeof delegationText>[0],
  proof: NonNullable<DelegationInput['proof']>,
): Promise<{ key: string; signature: string }> => {
  const offered = proof.key === undefined ? undefined : parseAgentKey(proof.key)
  const known = await keysOf(reads, granted.parent, offered)
  const candidates = offered === undefined ? known : known.filter(({ key }) => key === offered)
  // A runtime signs the DIDs as it spells them.
  const children = await spellingsOf(reads, granted.child)
  const texts = (await spellingsOf(reads, granted.parent)).flatMap((parent) =>
    children.map((child) => new TextEncoder().encode(delegationText({ ...granted, parent, child }))),
  )
  const by = candidates.find(({ key }) => texts.some((text) => verifySignature(key, text, proof.signature)))
  if (by !== undefined) {
    return { key: by.key, signature: Buffer.from(proof.signature, 'base64').toString('base64url') }
  }
  const why =
    candidates.length > 0
      ? 'The signature is not one of the parent over this delegation.'
      : 'No key of the parent is known that could have made the signature.'
  throw new BridgeError('E_DELEGATION_PROOF', why, {
    hint: 'Sign the text of docs/delegation.md with a key of the parent: same DIDs, capabilities, depth and expiry.',
    details: [{ pointer: '/delegation/proof', code: candidates.length > 0 ? 'signature' : 'key' }],
  })
}

const expiryOf = ({ expiresAt }: DelegationInput): number | undefined => {
  if (expiresAt === undefined || expiresAt === null) return undefined
  const at = Date.parse(expiresAt)
  if (Number.isFinite(at)) return at
  throw new BridgeError('E_VALIDATION', 'The expiry is not a time.', {
    hint: 'RFC 3339, e.g. 2027-01-01T00:00:00Z.',
    details: [{ pointer: '/delegation/expiresAt', code: 'invalid_format' }],
  })
}

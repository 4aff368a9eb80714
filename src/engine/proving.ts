import { issuedAfter } from '../core/decide.ts'
import { BridgeError } from '../core/errors.ts'
import { keysMost, type Proof } from '../core/keys.ts'
import type { Agent, Did, PrincipalKey } from '../core/types.ts'
import { fitOf, thumbprintOf } from '../lib/agentkey.ts'
import type { Change } from './change.ts'
import { mappingsOf } from './sharing.ts'
import type { Subject } from './verify.ts'

/** What one request showed: the key of the DID, and the account whose token it carries. */
export interface Shown {
  readonly did: Did
  readonly key: string
  readonly subject: Subject
}

/** Right, and not enough. Why stands in the log alone: callers who try learn nothing from it. */
export const insufficient = (why: string, cause?: unknown): BridgeError =>
  new BridgeError('E_FORBIDDEN', 'This DID, key and account do not belong together, or may not act.', {
    cause: cause ?? new Error(why),
    hint: 'Ask whoever registers agents at the bridge; its log says why.',
  })

/** @throws BridgeError E_FORBIDDEN the agent is held or ended, or the token is from before its latest release */
const checkFree = async (c: Change, agent: Agent, { subject }: Shown): Promise<void> => {
  if (agent.decommissioned) throw insufficient('the agent was decommissioned')
  if ((await c.tx.openHolds(agent.did)).length > 0) throw insufficient('the agent is held')
  if (agent.resumedAt !== undefined && !issuedAfter(subject.issuedAt, agent.resumedAt)) {
    throw insufficient('the token is from before the latest release')
  }
}

/** The accounts of the token that are mapped to the DID. @throws BridgeError E_FORBIDDEN one of them is another agent's */
const ownAccounts = async (c: Change, did: Did, { adapter, subject }: Subject): Promise<PrincipalKey[]> => {
  const { principals, names = [] } = subject
  const rows = [
    ...(await c.tx.principalsById(adapter, [...principals])),
    ...(await c.tx.principalsNamed(adapter, names)),
  ]
  const own: PrincipalKey[] = []
  for (const row of rows) {
    const mapping = (await mappingsOf(c.tx, row)).find((one) => one.did === did)
    if (mapping === undefined) throw insufficient(`the account ${row.id} is mapped to another agent`)
    own.push({ adapter, id: row.id })
  }
  if (own.length === 0) throw insufficient('the account is not mapped to the agent')
  return own
}

/** Written again so often at most: whoever proves itself all the time does not fill the audit chain. */
const againMs = 60_000

/**
 * Marks the mappings of the token's accounts as proven, by a key that is the agent's.
 * @throws BridgeError E_FORBIDDEN
 */
export const prove = async (
  c: Change,
  agent: Agent,
  shown: Shown,
): Promise<{ principals: readonly PrincipalKey[]; at: number }> => {
  await checkFree(c, agent, shown)
  const { did } = agent
  const { key, subject } = shown
  const keys = await c.tx.keysOf(did)
  const thumbprint = thumbprintOf(key)
  const known = keys.find((one) => one.thumbprint === thumbprint)
  const fits = fitOf(did, key) === 'fits'
  if (known === undefined && !fits) throw insufficient('the key is none of the agent')
  if (known === undefined && keys.length >= keysMost) throw insufficient('the agent has all the keys it may have')
  const principals = await ownAccounts(c, did, subject)
  const before = await c.tx.proofsOf(did)
  const of = ({ adapter, id }: PrincipalKey) => before.find((one) => one.adapter === adapter && one.id === id)
  const isRecent = (proof: Proof | undefined) =>
    proof?.thumbprint === thumbprint && proof.at <= c.now && c.now - proof.at < againMs
  if (principals.every((one) => isRecent(of(one)))) {
    return { principals, at: Math.min(...principals.map((one) => of(one)?.at ?? c.now)) }
  }
  const binding = fits ? 'fingerprint' : 'proven'
  await c.tx.putKey(did, { key, thumbprint, binding, declaredAt: known?.declaredAt ?? c.now, provenAt: c.now })
  for (const one of principals) await c.tx.putProof(did, { ...one, at: c.now, thumbprint })
  const realm = c.deps.mounts().get(subject.adapter)?.adapter.realm
  await c.tx.appendAudit({
    time: c.now,
    type: 'account.proven',
    did,
    principals: principals.map((one) => ({ ...one, ...(realm !== undefined && { realm }) })),
    sponsor: agent.sponsor?.objectId,
    actor: c.actor,
    requestId: c.requestId,
    details: { key: thumbprint, binding, issuer: subject.issuer },
  })
  return { principals, at: c.now }
}

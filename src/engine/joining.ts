import { BridgeError } from '../core/errors.ts'
import type { ScheduledPrincipal } from '../core/store.ts'
import type { Account, Did, PrincipalKey } from '../core/types.ts'
import type { PrincipalInput } from './agentapi.ts'
import type { Change } from './change.ts'
import { claimOne } from './claiming.ts'
import { contextFor } from './context.ts'
import type { Mount } from './deps.ts'
import { placeOwnOn } from './owning.ts'
import { auditAccount } from './seen.ts'
import { didsOf, ownHolds } from './sharing.ts'

/** A hold on one DID looks at all that share an account with it: bounded, like everything that input can grow. */
const sharersMost = 100

const taken = (key: PrincipalKey, message: string, hint: string) =>
  new BridgeError('E_PRINCIPAL_TAKEN', `The account ${key.id} of ${key.adapter} ${message}.`, { hint })

const engaged = (account: Account): boolean =>
  account.mark !== 'none' || account.inFlightUntil !== undefined || account.putBack

/**
 * One DID more for an account that is mapped already. While the bridge has the switch in hand none comes in: the account
 * would have to be switched on for the newcomer in the middle of a claim (rule 12).
 * @throws BridgeError E_PRINCIPAL_TAKEN, E_HELD, E_VALIDATION
 */
export const join = async (
  c: Change,
  present: ScheduledPrincipal,
  did: Did,
  input: PrincipalInput,
  unread: boolean,
): Promise<void> => {
  if (!present.shared || input.shared !== true) {
    throw taken(
      present,
      'is mapped to another DID',
      `See GET /v1/principals?adapter=${present.adapter}&id=${encodeURIComponent(present.id)}; unmap it there first, ` +
        'or register it with shared: true under each of its DIDs.',
    )
  }
  if (present.kind !== input.kind) {
    throw taken(present, `is registered as ${present.kind}`, 'Every DID that shares an account gives the same kind.')
  }
  if (engaged(present.account)) {
    throw new BridgeError('E_HELD', `The switch of the account ${present.id} of ${present.adapter} is in use.`, {
      hint: 'Release the holds of the agents that share it; once it is switched on again another one can join.',
    })
  }
  if ((await didsOf(c.tx, present)).length >= sharersMost) {
    throw new BridgeError('E_VALIDATION', `The account ${present.id} is shared by ${sharersMost} agents already.`, {
      hint: 'Give the agent an account of its own.',
    })
  }
  const { appId, scopes = [] } = input
  await c.tx.addSharer(present, { did, appId, scopes, mappedAt: c.now })
  if (unread) await c.tx.askRead(present, c.now, undefined)
}

/** Somebody else keeps the account off: whoever comes to share it is held for that from the start (rule 11). */
export const holdJoiner = async (c: Change, mount: Mount, key: PrincipalKey, did: Did): Promise<void> => {
  const principal = await c.tx.principal(key)
  if (principal === undefined) return
  const { inbound } = await contextFor(c.deps, c.tx, mount, principal, c.now)
  const { account } = principal
  const owns = await ownHolds(c.tx, principal, undefined)
  if (!inbound || owns.some((one) => one.did === did && one.own !== undefined)) return
  const theirs = owns.some(({ own }) => own !== undefined && own.releasableAt === undefined)
  // An override spoke for those that were there.
  const overridden = account.overriddenAt !== undefined && account.observed !== 'enabled'
  const reason = account.observed === 'absent' ? 'deleted' : 'disabled'
  if (theirs || overridden) await placeOwnOn(c, key, did, { account, reason }, false)
}

/** What a person changes of a mapping that stays. @throws BridgeError E_PRINCIPAL_TAKEN, E_HELD */
export const describe = async (c: Change, did: Did, held: boolean, input: PrincipalInput): Promise<void> => {
  const { adapter, appId, id, kind, scopes = [] } = input
  const key = { adapter, id }
  const row = await c.tx.principal(key)
  if (row === undefined) return
  const shared = input.shared === true
  if (row.shared) {
    const alone = (await didsOf(c.tx, row)).length === 1
    if (!shared && !alone)
      throw taken(key, 'is shared by other agents', "It can be one agent's own once they unmapped it.")
    if (row.kind !== kind && !alone) {
      throw taken(key, `is registered as ${row.kind}`, 'Every DID that shares an account gives the same kind.')
    }
  }
  if (row.shared !== shared && (held || engaged(row.account))) {
    throw new BridgeError('E_HELD', `Whether the account ${id} of ${adapter} is shared cannot change now.`, {
      hint: 'Release every hold of the agent first.',
    })
  }
  await c.tx.describePrincipal(key, did, { kind, appId, scopes, shared })
}

/**
 * Ends one DID's mapping. The others keep a shared account; if every one of them is held, it is theirs alone now and is
 * switched off. The caller has checked that this DID may go (rule 12).
 */
export const unmap = async (c: Change, did: Did, key: PrincipalKey): Promise<void> => {
  await c.tx.unmapPrincipal(key, did)
  const left = await c.tx.principal(key)
  const mount = c.deps.mounts().get(key.adapter)
  if (left === undefined || mount === undefined) return
  if ((await claimOne(c, left)).length === 0) return
  const now = await c.tx.principal(key)
  if (now !== undefined) await auditAccount(c, mount, key, left.account, now.account)
}

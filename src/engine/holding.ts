import { parseDid } from '../core/did.ts'
import { BridgeError } from '../core/errors.ts'
import { isDirectory, releaseRule } from '../core/holds.ts'
import { trustOrigin } from '../core/trust.ts'
import type { Hold, Origin, PrincipalKey, Release, Severity } from '../core/types.ts'
import type { Caller } from './agentapi.ts'
import type { KillInput, KillResult, ReleaseResult } from './api.ts'
import { type Change, change } from './change.ts'
import type { Deps } from './deps.ts'
import { cascadeEnded } from './ending.ts'
import type { Keep } from './keeping.ts'
import { checkKin } from './kin.ts'
import { named } from './naming.ts'
import { placeHold, releaseHold } from './placing.ts'
import { readOnce } from './reading.ts'
import { ownHolds } from './sharing.ts'
import { agentView, checkBounds, requireAgent } from './views.ts'

const who = (caller: Caller, onBehalfOf?: string) => ({ actor: caller.name, requestId: caller.requestId, onBehalfOf })

/** May hold any agent, by selector too. */
export const isPerson = (caller: Caller): boolean =>
  caller.roles.some((role) => role === 'responder' || role === 'operator')

/** A caller that is only a runtime speaks as one; everyone else as an operator. */
export const originOf = (caller: Caller): Origin =>
  caller.roles.includes('runtime') && !isPerson(caller) ? `runtime:${caller.name}` : `operator:${caller.name}`

export interface HoldInput {
  readonly severity: Severity
  readonly reason: string
  readonly publicReason?: string | undefined
  readonly onBehalfOf?: string | undefined
}

/** Throws beyond the client's budget. */
type Spend = (caller: Caller) => void

export const place = async (
  deps: Deps,
  did: string,
  input: HoldInput,
  caller: Caller,
  spend: Spend,
  keep?: Keep<Hold>,
): Promise<Hold> => {
  const origin = originOf(caller)
  if (input.severity === 'decommission') {
    throw new BridgeError('E_VALIDATION', 'Decommissioning is not a hold one places.', {
      hint: 'Use DELETE /v1/agents/{did}.',
    })
  }
  if (input.severity === 'disable' && !caller.roles.includes('operator')) {
    throw new BridgeError('E_FORBIDDEN', 'Only operators place holds of severity disable.', {
      hint: 'Use suspend or kill.',
    })
  }
  checkBounds(await requireAgent(deps.store, did), caller)
  spend(caller)
  return change(
    deps,
    who(caller, input.onBehalfOf),
    async (c) => {
      const agent = await requireAgent(c.tx, did)
      checkBounds(agent, caller)
      return placeHold(c, {
        did: agent.did,
        origin,
        severity: input.severity,
        reason: input.reason,
        publicReason: input.publicReason,
      })
    },
    keep,
  )
}

/**
 * A kill: durable when it resolves, also for a DID that is not registered yet (rule 13). One that answers a hold of
 * ours acknowledges it and places nothing (rule 14).
 */
export const kill = async (
  deps: Deps,
  input: KillInput,
  caller: Caller,
  /** Acknowledgements cost nothing. */
  spend: Spend,
  keep?: Keep<KillResult>,
): Promise<KillResult> => {
  const given = parseDid(input.did)
  const answers = input.inResponseTo === undefined ? undefined : await deps.store.hold(input.inResponseTo)
  const meant = await named(deps.store, given)
  checkBounds(meant.agent, caller)
  if (answers?.did !== meant.did) spend(caller)
  const result = await change(
    deps,
    who(caller),
    async (c): Promise<KillResult> => {
      const { agent, did } = await named(c.tx, given)
      checkBounds(agent, caller)
      const known = agent !== undefined
      const answered = input.inResponseTo === undefined ? undefined : await c.tx.hold(input.inResponseTo)
      if (answered !== undefined && answered.did === did) {
        // Only a runtime can have stopped the agent somewhere.
        if (caller.roles.includes('runtime')) await c.tx.ackHold(answered.id, caller.name, c.now)
        return { did, holdId: answered.id, status: 'acknowledged', known }
      }
      const evidence = {
        ...(input.action !== undefined && { action: input.action }),
        ...(input.killedAt !== undefined && { killedAt: input.killedAt }),
        ...(input.inResponseTo !== undefined && { inResponseTo: input.inResponseTo }),
        ...(input.details !== undefined && { details: input.details }),
      }
      const hold = await placeHold(c, {
        did,
        origin: originOf(caller),
        severity: 'kill',
        reason: input.reason,
        evidence,
      })
      return { did, holdId: hold.id, status: 'suspended', known }
    },
    keep,
  )
  deps.probe?.('kill.committed')
  return result
}

const missing = () =>
  new BridgeError('E_HOLD_UNKNOWN', 'The agent has no such hold.', {
    hint: 'List them with GET /v1/agents/{did}/holds.',
  })

const openHold = (hold: Hold | undefined, did: string): Hold => {
  if (hold === undefined || hold.did !== did) throw missing()
  if (hold.releasedAt !== undefined) {
    throw new BridgeError('E_ALREADY_RELEASED', 'The hold was released already.', {
      hint: 'Nothing is left to do for it.',
    })
  }
  return hold
}

/** Asks for a release: done at once when the caller is the hold's origin, else awaiting a second person (rule 5). */
export const release = async (
  deps: Deps,
  given: string,
  holdId: string,
  reason: string,
  caller: Caller,
  keep?: Keep<ReleaseResult>,
): Promise<ReleaseResult> => {
  const result = await change(
    deps,
    who(caller),
    async (c): Promise<ReleaseResult> => {
      const { agent, did } = await named(c.tx, given)
      const hold = openHold(await c.tx.hold(holdId), did)
      checkBounds(agent, caller)
      const rule = releaseRule(hold, caller)
      await checkKin(c.tx, caller, [did])
      if (rule.how === 'now') {
        await releaseHold(c, hold, { how: 'origin' })
        return done(c, did)
      }
      const waiting = await c.tx.openReleaseOf(holdId)
      if (waiting?.kind === rule.kind) return { done: false, release: waiting }
      // The hold changed since: what was asked for then cannot be completed any more.
      if (waiting !== undefined) await c.tx.saveRelease({ ...waiting, status: 'void' })
      const asked: Release = {
        id: deps.newId(),
        holdId,
        did,
        kind: rule.kind,
        requestedBy: caller.name,
        requestedAt: c.now,
        reason,
        status: 'awaiting',
      }
      await c.tx.insertRelease(asked)
      await c.tx.appendAudit({
        time: c.now,
        type: 'release.requested',
        did,
        actor: caller.name,
        hold: holdId,
        requestId: caller.requestId,
        details: { releaseId: asked.id, kind: asked.kind },
        text: { reason },
      })
      return { done: false, release: asked }
    },
    keep,
  )
  if (result.done) await cascadeEnded(deps, result.did)
  return result
}

const done = async (c: Change, did: string): Promise<ReleaseResult> => {
  const agent = await c.tx.agent(did)
  return { done: true, did, agent: agent && (await agentView(c.deps, c.tx, agent)) }
}

const secondPerson = (asked: Release | undefined, caller: Caller): Release => {
  if (asked === undefined)
    throw new BridgeError('E_RELEASE_UNKNOWN', 'There is no such release.', { hint: 'Ask for one first.' })
  if (asked.status !== 'awaiting') {
    throw new BridgeError('E_ALREADY_RELEASED', 'This release is not waiting any more.', {
      hint: 'Read the agent again.',
    })
  }
  if (asked.requestedBy === caller.name) {
    throw new BridgeError('E_SAME_PERSON', 'Who asked for the release cannot approve it.', {
      hint: 'Another approver has to.',
    })
  }
  return asked
}

/** The second person. A hold that had become releasable is read once more before it goes. */
export const approve = async (
  deps: Deps,
  releaseId: string,
  caller: Caller,
  keep?: Keep<ReleaseResult>,
): Promise<ReleaseResult> => {
  const asked = secondPerson(await deps.store.release(releaseId), caller)
  const before = openHold(await deps.store.hold(asked.holdId), asked.did)
  releaseRule(before, caller)
  if (asked.kind === 'approve') await readAgain(deps, before)
  const result = await change(
    deps,
    who(caller),
    async (c) => {
      const waiting = secondPerson(await c.tx.release(releaseId), caller)
      const hold = openHold(await c.tx.hold(waiting.holdId), waiting.did)
      releaseRule(hold, caller)
      await checkKin(c.tx, caller, [hold.did])
      if (waiting.kind === 'override' && !caller.roles.includes('operator')) throw notOperator()
      if (waiting.kind === 'approve' && hold.releasableAt === undefined) throw stillOff()
      await c.tx.saveRelease({ ...waiting, status: 'done' })
      if (waiting.kind === 'override') await overridden(c, hold)
      await releaseHold(c, hold, { how: waiting.kind, releaseId, requestedBy: waiting.requestedBy })
      return done(c, hold.did)
    },
    keep,
  )
  await cascadeEnded(deps, asked.did)
  return result
}

const notOperator = () =>
  new BridgeError('E_FORBIDDEN', 'Overriding a hold takes two clients with the role operator.', {
    hint: 'Ask another operator, or ask for the release anew now that the hold changed.',
  })

const stillOff = () =>
  new BridgeError('E_NOT_RELEASABLE', 'The account does not read enabled any more.', {
    hint: 'Enable it in its directory; the hold becomes releasable again once that is confirmed.',
  })

/** The principal an own hold is about. */
export const principalOf = (hold: Pick<Hold, 'origin'>): PrincipalKey | undefined => {
  if (!isDirectory(hold)) return undefined
  const text = hold.origin.slice('adapter:'.length)
  const slash = text.indexOf('/')
  return { adapter: text.slice(0, slash), id: text.slice(slash + 1) }
}

const readAgain = async (deps: Deps, hold: Hold): Promise<void> => {
  const key = principalOf(hold)
  const principal = key && (await deps.store.principal(key))
  if (principal === undefined) return
  const state = await readOnce(deps, principal)
  if (state !== 'enabled') throw stillOff()
}

/** An overridden own hold does not come back from the same state (rule 5); scores that were settled hold nobody any more. */
const overridden = async (c: Change, hold: Hold): Promise<void> => {
  if (hold.origin === trustOrigin) return c.tx.settleTrust(hold.did)
  const key = principalOf(hold)
  const principal = key && (await c.tx.principal(key))
  if (principal === undefined) return
  // Another DID of a shared account was overridden before: what was switched off since counts for that one.
  const owns = await ownHolds(c.tx, principal, hold)
  const before = owns.some(({ own }) => own === undefined) ? principal.account.overriddenAt : undefined
  // What is put back for somebody else stays so for every DID that is still held for it.
  const putBack = principal.account.putBack && owns.some(({ own }) => own !== undefined && own.id !== hold.id)
  const account = { ...principal.account, overriddenAt: before ?? c.now, putBack }
  await c.tx.saveAccount(principal, account, principal.schedule)
}

export const holds = async (deps: Deps, given: string, limit: number): Promise<{ items: Hold[] }> => {
  const { did } = await named(deps.store, given)
  const items = await deps.store.holdsOf(did, limit)
  if (items.length === 0) await requireAgent(deps.store, did)
  return { items }
}

import {
  AttachRolePolicyCommand,
  DeleteRolePolicyCommand,
  DetachRolePolicyCommand,
  PutRolePolicyCommand,
} from '@aws-sdk/client-iam'
import type { WriteResult } from '../../src/core/adapter.ts'
import { BridgeError, codeOf } from '../../src/core/errors.ts'
import type { Sighting } from '../../src/core/types.ts'
import type { Clock } from '../../src/lib/clock.ts'
import { pause } from '../aborts.ts'
import type { ServerTime } from '../servertime.ts'
import { offByOurSwitch } from '../switches.ts'
import type { Session } from './account.ts'
import type { Call, Sent } from './api.ts'
import { deniesAll, denyAll, onlyRevokes, REVOKE_POLICY, revokeBefore, revokedBefore } from './documents.ts'
import { asBridgeError, type Purpose } from './errors.ts'
import type { Role } from './ids.ts'
import type { Managed } from './managedpolicy.ts'
import { purposes } from './purposes.ts'
import { inlinePolicy, proveRole, standing } from './reading.ts'
import type { Suspension } from './roles.ts'

export type Outcome = Omit<WriteResult, 'id'>

export interface RoleSwitchParts {
  readonly clock: Clock
  readonly time: ServerTime
  readonly suspensionOf: (account: string) => Suspension
  readonly managed: Managed
}

export interface RoleSwitch {
  /** `vet` is asked with what the proving read said. */
  suspend(work: RoleWork, vet: (before: Sighting | undefined) => BridgeError | undefined): Promise<Outcome>
  lift(work: RoleWork, stillWanted: (() => Promise<void>) | undefined): Promise<Outcome>
}

export interface RoleWork {
  readonly session: Session
  readonly role: Role
  readonly lane: 'suspend' | 'bulk' | 'write'
  readonly signal: AbortSignal
}

/** IAM shows a write a moment later; how long one is waited for to show. */
const SHOWS_MS = [500, 1500, 3000]
/** By what was written: a suspension holds a turn that the next one may want, and is soon left to the readings that follow. */
const SHOWN_MS: Readonly<Record<RoleWork['lane'], readonly number[]>> = {
  suspend: [300, 700],
  bulk: [],
  write: SHOWS_MS,
}
/** AWS tells its time in whole seconds, and answers take a while: what it is there now may be this much later. */
const AHEAD_MS = 2000
/** A deletion that finds nothing to delete, this soon after we wrote it, may only be early. */
const FRESH_MS = 60_000
const MAX_FRESH = 10_000
/** So long a try may count on what an earlier one revoked: sessions made in between could as well be made after it. */
const REVOKED_MS = 600_000

const MISSING = 'NoSuchEntity'
const FULL = 'LimitExceeded'

export function openRoleSwitch({ clock, time, suspensionOf, managed }: RoleSwitchParts): RoleSwitch {
  /** When we last suspended a role by one or the other policy. */
  const written = new Map<string, number>()
  /** What an earlier try to lift a role wrote, and did not see yet. */
  const revoked = new Map<string, { readonly at: number; readonly since: number }>()
  const keyOf = ({ roleId }: Role, by: 'inline' | 'managed') => `${by} ${roleId}`
  const noteWritten = (role: Role, by: 'inline' | 'managed') => {
    revoked.delete(role.roleId)
    if (written.size >= MAX_FRESH) written.clear()
    written.set(keyOf(role, by), clock.mono())
  }

  const put = (
    { session, role, lane, signal }: RoleWork,
    name: string,
    document: string,
    purpose: Purpose = purposes.putPolicy,
  ) => {
    const command = new PutRolePolicyCommand({ RoleName: role.name, PolicyName: name, PolicyDocument: document })
    return session.api.write((sending) => session.clients.iam.send(command, sending), { purpose, lane, signal })
  }

  /**
   * Reads a policy back until `shows` says that it is what was written. `late`: it is not there yet, which IAM does not
   * exclude for minutes. An unreadable one says nothing.
   */
  const readBack = async (
    work: RoleWork,
    policy: string,
    shows: (document: string) => boolean,
    delays?: readonly number[],
  ): Promise<'shown' | 'late' | 'other' | 'unread'> => {
    const { session, role, lane, signal } = work
    const waits = delays ?? [0, ...SHOWN_MS[lane]]
    let last: 'late' | 'other' = 'late'
    for (const ms of waits) {
      try {
        if (ms > 0) await pause(clock, ms, signal)
        const document = await inlinePolicy(session, role, policy, { lane, signal, once: true })
        if (document !== undefined && shows(document)) return 'shown'
        last = document === undefined ? 'late' : 'other'
      } catch {
        return 'unread'
      }
    }
    return last
  }

  const answered = (sent: Sent<unknown>, before: Sighting | undefined): Outcome =>
    sent.outcome === 'done' ? { outcome: 'done', before } : { outcome: sent.outcome, before, error: sent.error }

  /** The inline space of the role is full: our managed policy does the same, if it is there and says so. */
  const attach = async (work: RoleWork, before: Sighting | undefined, full: BridgeError): Promise<Outcome> => {
    const { session, role, lane, signal } = work
    const { managedArn } = suspensionOf(role.account)
    if (managedArn === undefined) return { outcome: 'refused', before, error: noRoom(full, role) }
    const fault = await managed.fault(session, managedArn, { lane, signal }).catch(asBridgeError)
    if (fault) return { outcome: 'refused', before, error: fault }
    const command = new AttachRolePolicyCommand({ RoleName: role.name, PolicyArn: managedArn })
    const options = { purpose: purposes.attachPolicy, lane, signal }
    const sent = await session.api.write((sending) => session.clients.iam.send(command, sending), options)
    if (sent.outcome === 'done') noteWritten(role, 'managed')
    return answered(sent, before)
  }

  const suspend: RoleSwitch['suspend'] = async (work, vet) => {
    const { session, role, lane, signal } = work
    const suspension = suspensionOf(role.account)
    const proving = { lane, signal, once: true } as const
    const read = await proveRole({ session, clock, role, suspension, managed }, proving).catch(asBridgeError)
    // Many that are written unread would all have to be proven by the log; they can wait for room instead.
    if (lane === 'bulk' && codeOf(read) === 'E_DIRECTORY_THROTTLED' && read instanceof BridgeError)
      return { outcome: 'unsent', before: undefined, error: read }
    // Where it cannot be told whether we suspended it already, the reading proves nothing.
    const isProof = (found: Sighting) =>
      found.state === 'absent' || found.switches.some((each) => each.ours && each.state !== 'unknown')
    const before = read instanceof BridgeError || !isProof(read) ? undefined : read
    const unfit = vet(before)
    if (unfit) return { outcome: 'unsent', before, error: unfit }
    if (before && (before.state === 'absent' || offByOurSwitch(before.switches))) return { outcome: 'unsent', before }
    const { policyName } = suspension
    const sent = await put(work, policyName, denyAll)
    if (sent.outcome === 'refused' && sent.told.name === FULL) return attach(work, before, sent.error)
    if (sent.outcome === 'refused' && sent.told.name === 'UnmodifiableEntity')
      return { outcome: 'refused', before, error: unmodifiable(sent.error, role) }
    if (sent.outcome !== 'done') return answered(sent, before)
    noteWritten(role, 'inline')
    // Acknowledged is acknowledged: late only means that readings are not final yet, which the engine waits out.
    const shown = await readBack(work, policyName, (document) => deniesAll(document) === true)
    if (shown !== 'other') return { outcome: 'done', before }
    const text = `the policy ${policyName} of the role is not what the bridge wrote`
    const hint = `somebody else writes ${policyName}: see the event history of the account`
    return { outcome: 'lost', before, error: new BridgeError('E_DIRECTORY_ANSWER', text, { hint }) }
  }

  /** Sessions from before now can do nothing any more: lifted alone, the suspension would give them back. */
  const revoke = async (work: RoleWork): Promise<BridgeError | undefined> => {
    const { session, role, lane, signal } = work
    const shows = (at: number) => (document: string) => (revokedBefore(document) ?? 0) >= at
    const present = await inlinePolicy(session, role, REVOKE_POLICY, { lane, signal })
    const earlier = revoked.get(role.roleId)
    // Where IAM takes longer than a try waits, each try would wait in vain for what it wrote itself.
    const first = earlier && clock.mono() - earlier.since < REVOKED_MS ? earlier : undefined
    if (first && present !== undefined && shows(first.at)(present)) {
      revoked.delete(role.roleId)
      await pause(clock, Math.max(0, first.at - time.now()), signal)
      return undefined
    }
    const at = time.now() + AHEAD_MS
    // What others forbid there stays forbidden.
    if (present !== undefined && shows(at)(present)) return undefined
    if (present !== undefined && !onlyRevokes(present)) return notOurs(role)
    const sent = await put(work, REVOKE_POLICY, revokeBefore(at), purposes.revokeSessions)
    if (sent.outcome === 'refused' && sent.told.name === FULL) return noRoomToRevoke(sent.error, work.role)
    if (sent.outcome !== 'done') return sent.error
    if (revoked.size >= MAX_FRESH) revoked.clear()
    if (!first) revoked.set(role.roleId, { at, since: clock.mono() })
    const shown = await readBack(work, REVOKE_POLICY, shows(at))
    if (shown === 'shown') {
      revoked.delete(role.roleId)
      // Until then sessions that are made anew would be revoked with the old ones.
      await pause(clock, Math.max(0, at - time.now()), signal)
      return undefined
    }
    const text = `IAM does not show ${REVOKE_POLICY} of the role yet: lifted now, old sessions would be revived`
    return new BridgeError('E_DIRECTORY_DOWN', text)
  }

  interface Removal {
    readonly by: 'inline' | 'managed'
    readonly call: Call<unknown>
    readonly purpose: Purpose
    readonly stillWanted: (() => Promise<void>) | undefined
  }

  /** A missing policy is what was wanted, unless it is one that we wrote a moment ago and IAM does not show yet. */
  const removed = async (work: RoleWork, { by, call, purpose, stillWanted }: Removal): Promise<Sent<unknown>> => {
    const { session, role, lane, signal } = work
    const key = keyOf(role, by)
    const isFresh = () => clock.mono() - (written.get(key) ?? Number.NEGATIVE_INFINITY) < FRESH_MS
    for (const ms of [...SHOWS_MS, undefined]) {
      const sent = await session.api.write(call, { purpose, lane, signal, stillWanted })
      if (sent.outcome === 'done') written.delete(key)
      if (sent.outcome !== 'refused' || sent.told.name !== MISSING) return sent
      if (!isFresh()) return { outcome: 'done', value: undefined }
      if (ms === undefined) return { outcome: 'lost', error: sent.error }
      await pause(clock, ms, signal)
    }
    throw new BridgeError('E_BUG', 'a removal without an end')
  }

  /** By its name alone the suspension of a role created anew would be lifted. */
  const changed = async ({ session, role, lane, signal }: RoleWork): Promise<BridgeError | undefined> => {
    const found = await standing(session, role, { lane, signal }).catch(asBridgeError)
    if (found instanceof BridgeError) return found
    if (found !== 'absent') return undefined
    return new BridgeError('E_DIRECTORY_REFUSED', 'the role does not exist any more, or was created anew')
  }

  const lift: RoleSwitch['lift'] = async (work, stillWanted) => {
    const { session, role } = work
    const { policyName, managedArn } = suspensionOf(role.account)
    const gone = await changed(work)
    if (gone) return { outcome: 'unsent', before: undefined, error: gone }
    const failure = await revoke(work).catch(asBridgeError)
    if (failure) return { outcome: 'unsent', before: undefined, error: failure }
    // That took a while.
    const late = await changed(work)
    if (late) return { outcome: 'unsent', before: undefined, error: late }
    const { iam } = session.clients
    const inline = new DeleteRolePolicyCommand({ RoleName: role.name, PolicyName: policyName })
    const first = await removed(work, {
      by: 'inline',
      call: (sending) => iam.send(inline, sending),
      purpose: purposes.deletePolicy,
      stillWanted,
    })
    if (first.outcome !== 'done' || managedArn === undefined) return answered(first, undefined)
    const attached = new DetachRolePolicyCommand({ RoleName: role.name, PolicyArn: managedArn })
    const sent = await removed(work, {
      by: 'managed',
      call: (sending) => iam.send(attached, sending),
      purpose: purposes.detachPolicy,
      stillWanted,
    })
    // One of the two may be gone already.
    return sent.outcome === 'unsent'
      ? { outcome: 'lost', before: undefined, error: sent.error }
      : answered(sent, undefined)
  }

  return { suspend, lift }
}

const noRoom = (cause: BridgeError, { name }: Role): BridgeError =>
  new BridgeError('E_DIRECTORY_REFUSED', `the inline policies of the role ${name} leave no room for the suspension`, {
    cause,
    hint: 'shorten its inline policies by 120 characters, or set suspension.managedPolicy of the adapter',
  })

const noRoomToRevoke = (cause: BridgeError, { name }: Role): BridgeError =>
  new BridgeError(
    'E_DIRECTORY_REFUSED',
    `the role ${name} has no room for ${REVOKE_POLICY}: old sessions would be revived`,
    {
      cause,
      hint: 'shorten its inline policies by 200 characters: the suspension is lifted then',
    },
  )

const notOurs = ({ name }: Role): BridgeError =>
  new BridgeError(
    'E_DIRECTORY_REFUSED',
    `the policy ${REVOKE_POLICY} of the role ${name} does more than revoke sessions`,
    {
      hint: 'give what it does another name: the suspension is lifted then',
    },
  )

const unmodifiable = (cause: BridgeError, { name }: Role): BridgeError =>
  new BridgeError('E_NOT_SWITCHABLE', `IAM lets nobody change the role ${name}`, {
    cause,
    hint: 'suspend the agent where the role comes from: at its service, or the user in Identity Center',
  })

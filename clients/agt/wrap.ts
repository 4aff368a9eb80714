import type { Clock } from '../../src/lib/clock.ts'
import { AgtClientError, type Report } from './errors.ts'
import type { Firing, Kill } from './firing.ts'
import type { Gate, GateVerdict } from './gate.ts'
import type { Known } from './known.ts'
import type { KillQueue, KillRecord } from './queue.ts'
import type { GovernedLike, KillSwitchLike } from './sdk.ts'
import type { Sender } from './sender.ts'

interface Standing<F> {
  readonly original: F
  readonly isLive: () => boolean
}

type Execute = GovernedLike['executeWithGovernance']

/** What stands in front of whose method, so that a new client replaces one that stopped instead of standing before it. */
const kills = new WeakMap<object, Standing<Kill>>()
const executes = new WeakMap<object, Standing<Execute>>()

const isReplaceable = (target: object, name: string): boolean =>
  Object.getOwnPropertyDescriptor(target, name)?.configurable ?? Object.isExtensible(target)

/**
 * Asked before anything is changed.
 * @throws AgtClientError E_ATTACHED a client that has not stopped stands there; E_OPTIONS an object is frozen
 */
export const assertFree = (switches: readonly KillSwitchLike[], clients: readonly GovernedLike[]): void => {
  const live = [...switches.map((one) => kills.get(one)), ...clients.map((one) => executes.get(one))]
  if (live.some((standing) => standing?.isLive() === true)) {
    throw new AgtClientError('E_ATTACHED', 'A kill switch or client is attached to a bridge already; stop that first.')
  }
  const isFrozen =
    switches.some((one) => !isReplaceable(one, 'kill')) ||
    clients.some((one) => !isReplaceable(one, 'executeWithGovernance'))
  if (isFrozen)
    throw new AgtClientError('E_OPTIONS', 'A kill switch or client is frozen: nothing can be put before it.')
}

const stand = <F>(where: WeakMap<object, Standing<F>>, target: object, name: string, value: F, own: Standing<F>) => {
  Object.defineProperty(target, name, { value, configurable: true, writable: true, enumerable: false })
  where.set(target, own)
}

export interface RecorderParts {
  readonly known: Known
  readonly queue: KillQueue
  readonly sender: Sender
  readonly firing: Firing
  readonly report: Report
  readonly didOf: (id: string) => string
  readonly align: (did: string) => void
  readonly clock: Clock
  readonly newId: () => string
  readonly recordTimeoutMs: number
}

const maxReason = 2_000
const words = (value: unknown): string | undefined =>
  typeof value === 'string' ? value.slice(0, maxReason) : undefined

/** Never rejects. */
const record = async ({ known, queue, sender, report, recordTimeoutMs }: RecorderParts, kill: KillRecord) => {
  let isQueued = true
  try {
    await queue.add(kill)
  } catch (error) {
    if (!(error instanceof AgtClientError)) throw error
    report(error)
    isQueued = error.code !== 'E_QUEUE_FULL'
  }
  await sender.first(kill, recordTimeoutMs)
  if (isQueued) return
  known.keep(kill.did, kill.id)
  sender.forget(kill)
}

/** Neither a disk nor a token function that hangs keeps the handlers waiting. */
const atMost = async (ms: number, clock: Clock, work: Promise<void>): Promise<void> => {
  const done = new AbortController()
  // Keeps the process alive until the handlers have run, whatever hangs.
  const alive = setInterval(() => undefined, 60_000)
  try {
    await Promise.race([work, clock.sleep(ms, done.signal).catch(() => undefined)])
  } finally {
    clearInterval(alive)
    done.abort()
  }
}

/**
 * Stands in front of `kill`: closes the gate, brings the kill to disk and to the bridge, then lets the SDK run its
 * handlers. Nothing of ours can keep a kill from happening, or change what it returns or throws.
 */
const recorded =
  (parts: RecorderParts, killSwitch: KillSwitchLike, original: Kill): Kill =>
  async (agentId, context, ...rest) => {
    const { known, firing } = parts
    const run = () => original(agentId, context, ...rest)
    // The SDK keeps it to itself, and refuses: nothing was killed that could be recorded.
    if (typeof agentId !== 'string' || Reflect.get(killSwitch, 'enabled') === false) return run()
    const did = parts.didOf(agentId)
    const { answering } = firing
    if (answering !== undefined && known.isHeld(did)) return run()

    const now = parts.clock.now()
    const action = words(context?.action)
    const kill: KillRecord = {
      id: `${String(now).padStart(15, '0')}-${parts.newId()}`,
      did,
      body: {
        agentId: did,
        reason: words(context?.reason) ?? 'no reason given',
        ...(action !== undefined && { action }),
        killedAt: new Date(now).toISOString(),
        ...(answering !== undefined && { inResponseTo: answering.holdId }),
      },
    }
    known.latch(did, kill.id)
    // Before the bridge hears of it: its signal may be here before its answer.
    firing.note(did, killSwitch, agentId)
    parts.align(did)
    await atMost(parts.recordTimeoutMs, parts.clock, record(parts, kill))
    try {
      return await run()
    } catch (error) {
      firing.unnote(did, killSwitch, agentId)
      throw error
    }
  }

export const wrapKillSwitch = (parts: RecorderParts, killSwitch: KillSwitchLike, isLive: () => boolean): void => {
  const original = kills.get(killSwitch)?.original ?? killSwitch.kill
  const bound: Kill = (...args) => Reflect.apply(original, killSwitch, args)
  stand(kills, killSwitch, 'kill', recorded(parts, killSwitch, bound), { original, isLive })
  parts.firing.use(killSwitch, bound)
}

/** In front of `executeWithGovernance`: an agent whose gate is closed is denied, as a policy would deny it. */
export const wrapClient = (gate: Gate, client: GovernedLike, isLive: () => boolean): void => {
  const original = executes.get(client)?.original ?? client.executeWithGovernance
  const gated: Execute = async (...args) => {
    const verdict = gate.check(client.identity.did)
    return verdict.open ? Reflect.apply(original, client, args) : denied(client, args[0], verdict)
  }
  stand(executes, client, 'executeWithGovernance', gated, { original, isLive })
}

/** The SDK's own `GovernanceResult`, with its own audit entry. A hold is no failure of the agent: its score stays. */
const denied = (client: GovernedLike, action: string, { codes }: GateVerdict): unknown => {
  const { did } = client.identity
  const auditEntry = client.audit.log({ agentId: did, action, decision: 'deny' })
  return {
    decision: 'deny',
    trustScore: client.trust.getTrustScore(did),
    auditEntry,
    executionTime: 0,
    lifecycleState: client.lifecycle.state,
    lifecycleReason: `The identity bridge holds the agent (${codes.join(', ')})`,
  }
}

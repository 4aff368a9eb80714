import type { AccessPolicyRef } from '../core/blueprints.ts'
import { BridgeError, codeOf } from '../core/errors.ts'
import type { PolicyState, PolicyView } from './blueprintapi.ts'
import { topics } from './bus.ts'
import type { Deps } from './deps.ts'
import { namedMount } from './mounts.ts'

/**
 * Access policies that blueprints name: read when a blueprint is put, at the start, after a reload and once a day.
 * Directories allow very few such reads, so what was seen is remembered, and a registration asks again only in doubt.
 */

interface Seen extends PolicyView {
  readonly state: Exclude<PolicyState, 'unchecked'>
  readonly checkedAt: number
  /** The same on the monotonic clock. */
  readonly mono: number
  readonly mend: string | undefined
}

const timeoutMs = 20_000
/** How long a registration takes what was seen for what is. */
const goodForMs: Readonly<Record<Seen['state'], number>> = {
  enforced: Number.POSITIVE_INFINITY,
  unenforced: Number.POSITIVE_INFINITY,
  absent: 10_000,
  unread: 60_000,
}

const dayMs = 86_400_000
/** A sweep that could not read all of them is repeated sooner. */
const againMs = 600_000
/** Between two reads of a sweep: whatever else reads policies of the tenant shares the limit. */
const paceMs = 2_000
const pageSize = 500

interface Memory {
  readonly seen: Map<string, Seen>
  readonly asked: Map<string, Promise<Seen>>
}

const memories = new WeakMap<Deps, Memory>()

const memoryOf = (deps: Deps): Memory => {
  const known = memories.get(deps)
  if (known !== undefined) return known
  const made: Memory = { seen: new Map(), asked: new Map() }
  memories.set(deps, made)
  return made
}

const keyOf = ({ adapter, id }: AccessPolicyRef): string => `${adapter}/${id}`

const read = async (deps: Deps, ref: AccessPolicyRef): Promise<Seen> => {
  const seen = (state: Seen['state'], text: string, mend: string | undefined): Seen => ({
    state,
    text,
    mend,
    checkedAt: deps.clock.now(),
    mono: deps.clock.mono(),
  })
  const name = keyOf(ref)
  const mount = deps.mounts().get(ref.adapter)
  if (mount === undefined) return seen('absent', `No adapter ${ref.adapter} is configured.`, 'Configure it.')
  const { accessPolicies } = mount.adapter
  if (accessPolicies === undefined) {
    return seen('absent', `${ref.adapter} is a directory without access policies.`, 'Name one of another adapter.')
  }
  const refused = accessPolicies.vet(ref.id)
  if (refused !== undefined) return seen('absent', refused.message, refused.hint)
  try {
    const policy = await accessPolicies.read(ref.id, AbortSignal.timeout(timeoutMs))
    if (policy === undefined) {
      return seen('absent', `There is no access policy ${name}.`, 'Create it, or name another one.')
    }
    if (policy.enforced) return seen('enforced', `The access policy ${name} is enforced.`, undefined)
    return seen('unenforced', `The access policy ${name} is off or only reports: it stops nobody.`, 'Turn it on.')
  } catch (error) {
    if (deps.isFatal(error)) deps.fatal(error)
    deps.log.warn({ adapter: ref.adapter, policy: ref.id, err: error }, 'an access policy could not be read')
    const mend = error instanceof BridgeError ? error.hint : undefined
    return seen('unread', `The access policy ${name} cannot be read (${codeOf(error)}).`, mend)
  }
}

/** Reads it now: one read, however many ask meanwhile. */
const look = (deps: Deps, ref: AccessPolicyRef): Promise<Seen> => {
  const { asked } = memoryOf(deps)
  const key = keyOf(ref)
  const present = asked.get(key)
  if (present !== undefined) return present
  const reading = read(deps, ref).finally(() => asked.delete(key))
  asked.set(key, reading)
  return reading
}

/** Keeps what was seen; bad news raises an alert when they are new. */
const remember = (deps: Deps, ref: AccessPolicyRef, now: Seen): Seen => {
  const { seen } = memoryOf(deps)
  const before = seen.get(keyOf(ref))?.state
  seen.set(keyOf(ref), now)
  if (now.state === before) return now
  const text = [now.text, now.mend].filter((part) => part !== undefined).join(' ')
  if (now.state === 'absent') deps.alert('access-policy-absent', text)
  if (now.state === 'unread') deps.alert('access-policy-unread', text)
  return now
}

/** What was last seen of it, without asking. */
export const knownPolicy = (deps: Deps, ref: AccessPolicyRef): PolicyView =>
  memoryOf(deps).seen.get(keyOf(ref)) ?? {
    state: 'unchecked',
    text: `The access policy ${keyOf(ref)} was not read yet.`,
    checkedAt: undefined,
    mend: undefined,
  }

/** What is known of it, read again when that is older than `withinMs`, or than is good for a registration. */
export const presentPolicy = async (deps: Deps, ref: AccessPolicyRef, withinMs?: number): Promise<PolicyView> => {
  const known = memoryOf(deps).seen.get(keyOf(ref))
  if (known !== undefined && deps.clock.mono() - known.mono < (withinMs ?? goodForMs[known.state])) return known
  return remember(deps, ref, await look(deps, ref))
}

const absent = ({ text, mend }: PolicyView): BridgeError =>
  new BridgeError('E_ACCESS_POLICY', text, mend === undefined ? {} : { hint: mend })

/**
 * A policy that a blueprint is to name must exist; one that cannot be read now is taken, and told.
 * @throws BridgeError E_ACCESS_POLICY, E_ADAPTER_UNKNOWN
 */
export const acceptPolicy = async (deps: Deps, ref: AccessPolicyRef): Promise<void> => {
  namedMount(deps, ref.adapter)
  const now = await look(deps, ref)
  // One that was never there is nobody's news; one that blueprints name already is gone for them as well.
  const isKnown = memoryOf(deps).seen.has(keyOf(ref))
  if (isKnown || now.state !== 'absent') remember(deps, ref, now)
  if (now.state === 'absent') throw absent(now)
}

/** @throws BridgeError E_ACCESS_POLICY: nothing is registered under a policy that is known to be gone */
export const requirePolicy = async (deps: Deps, ref: AccessPolicyRef): Promise<void> => {
  const now = await presentPolicy(deps, ref)
  if (now.state === 'absent') throw absent(now)
}

const named = async (deps: Deps): Promise<Map<string, AccessPolicyRef>> => {
  const refs = new Map<string, AccessPolicyRef>()
  let after = ''
  for (;;) {
    const page = await deps.store.blueprints(after, pageSize)
    for (const { accessPolicy } of page) if (accessPolicy !== undefined) refs.set(keyOf(accessPolicy), accessPolicy)
    if (page.length < pageSize) return refs
    after = page.at(-1)?.name ?? after
  }
}

/** Reads every policy that a blueprint names, and forgets the others. False: not all of them could be read. */
export const checkPolicies = async (deps: Deps, signal: AbortSignal): Promise<boolean> => {
  const refs = await named(deps)
  const { seen } = memoryOf(deps)
  for (const key of seen.keys()) if (!refs.has(key)) seen.delete(key)
  let whole = true
  let first = true
  for (const ref of refs.values()) {
    if (!first) await deps.clock.sleep(paceMs, signal)
    first = false
    signal.throwIfAborted()
    if (remember(deps, ref, await look(deps, ref)).state === 'unread') whole = false
  }
  return whole
}

/** Checks at the start, when the configuration was reloaded, and daily. */
export const tendPolicies = async (deps: Deps, signal: AbortSignal): Promise<void> => {
  while (!signal.aborted) {
    const woken = deps.bus.count(topics.policies)
    const whole = await checkPolicies(deps, signal).catch((err) => {
      if (!signal.aborted) deps.log.warn({ err }, 'the access policies of blueprints were not all checked')
      return false
    })
    await deps.bus.wait(topics.policies, woken, whole ? dayMs : againMs, signal)
  }
}

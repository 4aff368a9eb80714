import { freshAccount } from '../core/account.ts'
import { BridgeError } from '../core/errors.ts'
import { observe } from '../core/mirror.ts'
import type { Did, Principal, Sighting } from '../core/types.ts'
import type { PrincipalInput } from './agentapi.ts'
import { type Change, directory } from './change.ts'
import { contextFor } from './context.ts'
import type { Deps } from './deps.ts'
import { heard } from './echoes.ts'
import { withCopies } from './following.ts'
import { holdJoiner, join } from './joining.ts'
import { namedMount } from './mounts.ts'
import type { Recall } from './recall.ts'
import { keyText, settle } from './seen.ts'

/** What the directory said about accounts that are about to be mapped. */
export type Readings = ReadonlyMap<string, Sighting>

/** What is wrong with accounts that are about to be mapped, as far as it can be told without asking. */
export const vetAll = (deps: Deps, inputs: readonly PrincipalInput[]): void => {
  const faults: { pointer: string; code: string; detail: string }[] = []
  const seen = new Set<string>()
  for (const [index, input] of inputs.entries()) {
    const mount = namedMount(deps, input.adapter)
    const fault =
      mount.adapter.vet(input) ??
      (seen.has(keyText(input)) ? new BridgeError('E_VALIDATION', 'The principal is listed twice.') : undefined)
    seen.add(keyText(input))
    if (fault !== undefined) {
      if (inputs.length === 1) throw fault
      faults.push({ pointer: `/principals/${index}`, code: fault.code, detail: fault.message })
    }
  }
  if (faults.length > 0) throw new BridgeError('E_VALIDATION', 'Some principals are refused.', { details: faults })
}

/**
 * Checks accounts before they are mapped and reads each by id, one call per adapter (rule 11). Absent is refused;
 * unreadable is accepted and decides `deny` until it was read.
 */
export const readForMapping = async (
  deps: Deps,
  inputs: readonly PrincipalInput[],
  signal: AbortSignal,
): Promise<Readings> => {
  vetAll(deps, inputs)
  const readings = new Map<string, Sighting>()
  for (const [name, list] of Map.groupBy(inputs, ({ adapter }) => adapter)) {
    const mount = deps.mounts().get(name)
    if (mount === undefined) continue
    try {
      for (const sighting of (await mount.adapter.lookup(list, signal)).values()) {
        readings.set(keyText({ adapter: name, id: sighting.id }), sighting)
      }
    } catch (error) {
      deps.log.warn({ adapter: name, err: error }, 'accounts could not be read at registration; accepted as unknown')
    }
  }
  for (const input of inputs) {
    // The reading told the adapter more than the id does: the true kind, the application behind the account.
    const refused = namedMount(deps, input.adapter).adapter.vet(input)
    if (refused !== undefined) throw refused
    if (readings.get(keyText(input))?.state === 'absent') {
      throw absentFrom(input)
    }
  }
  return readings
}

export const absentFrom = ({ adapter, id }: PrincipalInput): BridgeError =>
  new BridgeError('E_PRINCIPAL_ABSENT', `The account ${id} does not exist in ${adapter}.`, {
    hint: 'Check the immutable object id and that the account is not deleted.',
  })

/** Maps one account and takes in what was read of it; a disabled one is held from the start. */
export const mapPrincipal = async (
  c: Change,
  did: Did,
  input: PrincipalInput,
  readings: Readings | 'later',
  recallOf: (adapter: string) => Recall,
): Promise<void> => {
  const mount = namedMount(c.deps, input.adapter)
  const key = { adapter: input.adapter, id: input.id }
  const reading = readings === 'later' ? undefined : readings.get(keyText(key))
  const sighting = reading && (await heard(c.tx, mount, reading))
  const unread = sighting === undefined || sighting.state === 'unknown'
  const present = await c.tx.principal(key)
  const asked = unread && readings !== 'later'
  if (present === undefined) await insert(c, did, input, asked)
  else await join(c, present, did, input, asked)
  if (asked) c.wakeWork(key.adapter)
  // What the directory says is its doing, not that of whoever registers.
  const seen = { ...c, actor: directory.actor }
  const principal = await c.tx.principal(key)
  if (!unread && principal !== undefined) {
    const plain = await contextFor(c.deps, c.tx, mount, principal, c.now)
    const context = await withCopies(c.deps, c.tx, principal, sighting, plain)
    const told = { key, sighting, begunMono: c.deps.clock.mono() }
    const { account } = principal
    await settle(seen, mount, recallOf(key.adapter), told, account, observe(account, sighting, context), context)
  }
  if (present !== undefined) await holdJoiner(seen, mount, key, did)
}

const insert = async (c: Change, did: Did, input: PrincipalInput, asked: boolean): Promise<void> => {
  const principal: Principal = {
    adapter: input.adapter,
    id: input.id,
    did,
    shared: input.shared === true,
    kind: input.kind,
    appId: input.appId,
    scopes: input.scopes ?? [],
    mappedAt: c.now,
    account: asked ? { ...freshAccount, readDueAt: c.now } : freshAccount,
  }
  await c.tx.insertPrincipal(principal, { nextAt: asked ? c.now : undefined, lane: 1 })
}

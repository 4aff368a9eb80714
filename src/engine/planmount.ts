import { ourSwitch } from '../core/account.ts'
import type { Accounts, Adapter, PrincipalRef, WriteResult } from '../core/adapter.ts'
import { BridgeError } from '../core/errors.ts'
import type { PlanFault } from '../core/plan.ts'
import type { PrincipalId, Sighting } from '../core/types.ts'
import type { Mount } from './deps.ts'

/** What was asked of a directory in a rehearsal, and did not come. */
export interface Faults {
  readonly list: () => PlanFault[]
  readonly note: (asked: PlanFault['asked'], error: BridgeError) => void
  /** Whether this failure is one of a directory, and noted. */
  readonly has: (error: unknown) => boolean
}

export const createFaults = (): Faults => {
  const faults = new Map<string, PlanFault>()
  const noted = new WeakSet<object>()
  return {
    list: () => [...faults.values()],
    note: (asked, error) => {
      noted.add(error)
      const name = `${asked} ${error.code}`
      const { n = 0 } = faults.get(name) ?? {}
      faults.set(name, { asked, code: error.code, text: error.message, n: n + 1 })
    },
    has: (error) => typeof error === 'object' && error !== null && noted.has(error),
  }
}

/** A directory that is read as ever and never written: what would be written is noted, as if it had been done. */
export interface RehearsedMount {
  readonly mount: Mount
  readonly faults: Faults
  readonly off: ReadonlySet<PrincipalId>
  readonly on: ReadonlySet<PrincipalId>
}

export const rehearsedMount = (real: Mount): RehearsedMount => {
  const { adapter } = real
  const faults = createFaults()
  const off = new Set<PrincipalId>()
  const on = new Set<PrincipalId>()

  const told = (asked: PlanFault['asked'], error: unknown): unknown => {
    if (error instanceof BridgeError) faults.note(asked, error)
    return error
  }
  async function* whole<T>(asked: PlanFault['asked'], pages: AsyncIterable<T>): AsyncGenerator<T> {
    try {
      yield* pages
    } catch (error) {
      throw told(asked, error)
    }
  }
  const asking = async <T>(asked: PlanFault['asked'], answer: Promise<T>): Promise<T> => {
    try {
      return await answer
    } catch (error) {
      throw told(asked, error)
    }
  }
  const read = async (refs: readonly PrincipalRef[], signal: AbortSignal): Promise<Map<PrincipalId, Sighting>> => {
    const answers = await asking('account', adapter.lookup(refs, signal))
    for (const { id } of refs) {
      const state = answers.get(id)?.state ?? 'unknown'
      if (state === 'unknown') faults.note('account', unread())
    }
    return answers
  }

  const disableOne = (id: PrincipalId, before: Sighting | undefined): WriteResult => {
    const isOff = before !== undefined && (before.state === 'absent' || ourSwitch(before.switches) === 'off')
    if (isOff) return { id, before, outcome: 'unsent' }
    off.add(id)
    return { id, before: before?.state === 'unknown' ? undefined : before, outcome: 'done' }
  }
  const written = (accounts: Accounts): Accounts => ({
    ...accounts,
    disable: async (refs, signal) => {
      try {
        const before = await read(refs, signal)
        return refs.map(({ id }) => disableOne(id, before.get(id)))
      } catch (error) {
        if (!(error instanceof BridgeError)) throw error
        return refs.map(({ id }) => ({ id, before: undefined, outcome: 'refused', error }))
      }
    },
    enable: async (refs) => {
      for (const { id } of refs) on.add(id)
      return refs.map(({ id }) => ({ id, before: undefined, outcome: 'done' }))
    },
    ...(accounts.log !== undefined && { log: logged(accounts.log) }),
  })
  const logged = (log: NonNullable<Accounts['log']>): NonNullable<Accounts['log']> => ({
    retentionMs: log.retentionMs,
    read: (window, signal) => asking('log', log.read(window, signal)),
  })

  const { accounts, groups } = adapter
  const rehearsed: Adapter = {
    ...adapter,
    changes: (since, signal) => whole('accounts', adapter.changes(since, signal, true)),
    lookup: read,
    ...(groups !== undefined && {
      groups: { members: (id, signal) => whole('group', groups.members(id, signal)) },
    }),
    ...(accounts !== undefined && { accounts: written(accounts) }),
  }
  const mount: Mount = {
    adapter: rehearsed,
    get settings() {
      return real.settings
    },
  }
  return { mount, faults, off, on }
}

const unread = (): BridgeError =>
  new BridgeError('E_DIRECTORY_ANSWER', 'The directory did not say whether an account is on or off.')

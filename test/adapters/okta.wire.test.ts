import { playable } from '../../sandbox/okta/playable.ts'
import { bench } from './org.ts'
import { leaping } from './tenant.ts'
import { type Documented, down, type Fleet, faultsOfTheWire, throttled, untouched } from './wire.ts'

/** Seven users on pages of three, the administrator besides. */
const fleet = async (): Promise<Fleet> => {
  const clock = leaping()
  const it = await bench({ pageSize: 3, clock, settings: { manage: { kinds: ['user'] } } })
  const refs = it.users(7)
  return {
    adapter: it.adapter,
    refs,
    stage: playable(it.org),
    isOff: (id) => it.org.get(id)?.enabled === false,
    recover: () => clock.sleep(120_000),
    asked: () => it.org.requests.filter(({ surface }) => surface === 'api').length,
    [Symbol.asyncDispose]: () => it[Symbol.asyncDispose](),
  }
}

const documented: Readonly<Record<string, Documented>> = {
  'reset-before': down,
  // Writes alone: every read has a connection of its own.
  'reset-after': { pass: 'whole', read: 'enabled', write: ['lost'] },
  drip: untouched,
  'truncated-page': down,
  'throttled-with-retry-after': throttled,
  'throttled-without': throttled,
  'status-500': down,
  'status-502': down,
  // The org is in its read-only mode: nothing changed.
  'status-503': { ...down, write: ['refused'] },
  'status-504': down,
  'empty-list': { pass: 'fewer', read: 'enabled', write: ['done'] },
  'repeated-page': { ...untouched, pass: 'E_DIRECTORY_ANSWER' },
  'looping-link': { ...untouched, pass: 'E_DIRECTORY_ANSWER' },
  'stale-read': untouched,
  'applied-but-504': { pass: 'whole', read: 'enabled', write: ['lost'] },
  'late-write': { pass: 'whole', read: 'enabled', write: ['lost'] },
}

faultsOfTheWire(documented, fleet)

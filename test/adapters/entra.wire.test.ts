import { playable } from '../../sandbox/entra/playable.ts'
import { bench, leaping } from './tenant.ts'
import { type Documented, down, type Fleet, faultsOfTheWire, throttled, untouched } from './wire.ts'

/** Seven agents on pages of three. */
const fleet = async (): Promise<Fleet> => {
  const it = await bench({
    pageSize: 3,
    emptyPages: false,
    clock: leaping(),
    settings: { manage: { kinds: ['agentIdentity'] } },
  })
  const refs = Array.from({ length: 7 }, (_, number) => ({
    id: it.tenant.addAgentIdentity({ displayName: `agent ${number}`, blueprintAppId: it.blueprint.appId }),
    kind: 'agentIdentity',
  }))
  it.tenant.settle()
  return {
    adapter: it.adapter,
    refs,
    stage: playable(it.tenant),
    isOff: (id) => it.tenant.get(id)?.enabled === false,
    recover: async () => undefined,
    asked: () => it.tenant.requests.filter(({ surface }) => surface === 'graph').length,
    [Symbol.asyncDispose]: () => it[Symbol.asyncDispose](),
  }
}

const documented: Readonly<Record<string, Documented>> = {
  'reset-before': down,
  'reset-after': { pass: 'whole', read: 'E_DIRECTORY_DOWN', write: ['lost'] },
  drip: untouched,
  'truncated-page': down,
  'throttled-with-retry-after': { ...throttled, write: ['refused'] },
  'throttled-without': { ...throttled, write: ['refused'] },
  'status-500': down,
  'status-502': down,
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

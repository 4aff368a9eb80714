import { playable } from '../../sandbox/aws/playable.ts'
import { bench, elsewhere, otherAccount } from './awscloud.ts'
import { leaping } from './tenant.ts'
import { type Documented, down, type Fleet, faultsOfTheWire, throttled, untouched } from './wire.ts'

/** Five agents in another account, on pages of two. */
async function fleet(): Promise<Fleet> {
  const manage = { kinds: ['iamRole'], paths: ['/agents/'] }
  const it = await bench({ pageSize: 2, clock: leaping(), settings: { accounts: elsewhere, manage } })
  const refs = Array.from({ length: 5 }, () => it.role(undefined, otherAccount))
  return {
    adapter: it.adapter,
    refs,
    stage: playable(it.cloud),
    isOff: (id) => it.cloud.get(id)?.enabled === false,
    recover: async () => {},
    asked: () => it.cloud.requests.filter(({ surface }) => surface !== 'sts').length,
    [Symbol.asyncDispose]: () => it[Symbol.asyncDispose](),
  }
}

const documented: Readonly<Record<string, Documented>> = {
  'reset-before': down,
  'reset-after': { pass: 'whole', read: 'enabled', write: ['lost'] },
  drip: untouched,
  'truncated-page': down,
  'throttled-with-retry-after': { ...throttled, write: ['refused'] },
  'throttled-without': { ...throttled, write: ['refused'] },
  'status-500': down,
  'status-502': down,
  'status-503': down,
  'status-504': down,
  'empty-list': { pass: 'fewer', read: 'enabled', write: ['done'] },
  'repeated-page': { ...untouched, pass: 'E_DIRECTORY_ANSWER' },
  'looping-link': { ...untouched, pass: 'E_DIRECTORY_ANSWER' },
  'stale-read': untouched,
  'applied-but-504': { pass: 'whole', read: 'enabled', write: ['lost'] },
  'late-write': { pass: 'whole', read: 'enabled', write: ['lost'] },
}

faultsOfTheWire(documented, fleet)

import { startSpire } from '../../sandbox/spire/index.ts'
import { adapterContract, type Rig } from '../contract/adapter.ts'
import { AUDIENCE, domain, entriesOf, isHeld, SENTINEL } from './trustdomain.ts'

const always = Number.POSITIVE_INFINITY
const LIST = '/spire.api.server.entry.v1.Entry/ListEntries'
/** As gRPC numbers them. */
const statuses = { throttled: 8, down: 14, forbidden: 7, auth: 16 }

async function rig(): Promise<Rig> {
  const base = await domain({ pageSize: 2 })
  const { spire, adapter, workloads } = base
  const [first, second, third] = workloads(3)
  if (!first || !second || !third) throw new Error('the trust domain is too small')
  const others: (() => Promise<void>)[] = []
  const lifts: (() => void)[] = []
  return {
    adapter,
    refs: [first, second, third],
    missing: { id: `spiffe://${spire.trustDomain}/agents/nobody`, kind: 'workload' },
    secrets: ['eyJ', 'unix:user:', 'user:a1'],
    logged: base.logged,
    async setEnabled(id, enabled) {
      for (const entry of entriesOf(spire, id)) {
        const others = entry.selectors.filter(({ type }) => type !== SENTINEL.type)
        spire.changeEntry(entry.id, { selectors: enabled ? others : [...others, SENTINEL] })
      }
    },
    enabled: async (id) => entriesOf(spire, id).length > 0 && !isHeld(spire, id),
    remove: async (id) => {
      for (const entry of entriesOf(spire, id)) spire.removeEntry(entry.id)
    },
    async unreadable(id) {
      const path = id.slice(`spiffe://${spire.trustDomain}`.length)
      const isOf = (target: { path: string; body?: unknown }) =>
        target.path.startsWith(LIST) && JSON.stringify(target.body ?? '').includes(`"${path}"`)
      spire.fail(isOf, { status: 13, times: always })
    },
    readsToWrite: true,
    async breakAll(how) {
      lifts.push(spire.fail(() => true, { status: statuses[how], times: always }))
    },
    async heal() {
      for (const lift of lifts) lift()
    },
    async breakFeed() {
      const isNext = (target: { path: string; body?: unknown }) =>
        target.path === LIST && !JSON.stringify(target.body).includes('"page_token":""')
      spire.fail(isNext, { status: 14 })
    },
    async expire() {
      for await (const _ of adapter.changes(undefined, AbortSignal.timeout(30_000)));
    },
    tokens: {
      own: async (id) => spire.jwtSvid(id, [AUDIENCE]),
      async neighbours() {
        const neighbour = await startSpire({ trustDomain: 'neighbour.example' })
        others.push(() => neighbour[Symbol.asyncDispose]())
        return [
          neighbour.jwtSvid('spiffe://neighbour.example/agents/a0', [AUDIENCE]),
          spire.jwtSvid(first.id, ['other']),
        ]
      },
    },
    async [Symbol.asyncDispose]() {
      for (const end of others) await end()
      await base[Symbol.asyncDispose]()
    },
  }
}

adapterContract('spiffe', rig)

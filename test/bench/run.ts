/**
 * `npm run bench` prints the figures of the note; `npm run bench -- --quick` does it small, to see that it works;
 * `npm run bench -- --tokens` only what tokens and decisions on them cost in process, `-- --http` only introspection beside
 * a bare route, `-- --agents` only what many agents cost, `-- --import` only a file of agents.
 */
import process, { argv, stdout } from 'node:process'
import { parseArgs } from 'node:util'
import { benchInProcess } from './agt.ts'
import { benchChains, type ChainTimes } from './chains.ts'
import { benchSeen, seenRows } from './decisions.ts'
import { machine, ms, type Row, spreadText, table, whole } from './figures.ts'
import { benchHttp } from './http.ts'
import { benchImport, importRows } from './importing.ts'
import { benchIntrospection, introspectionRows } from './introspection.ts'
import { benchMassKill } from './masskill.ts'
import { benchPropagation } from './propagation.ts'
import { benchScale, scaleRows } from './scale.ts'
import { benchStore } from './store.ts'
import { benchFirstSight, firstSightRows } from './tokens.ts'
import { benchVerifier, verifierRows } from './verifier.ts'

const { values } = parseArgs({
  args: argv.slice(2),
  options: {
    quick: { type: 'boolean', default: false },
    tokens: { type: 'boolean', default: false },
    http: { type: 'boolean', default: false },
    agents: { type: 'boolean', default: false },
    import: { type: 'boolean', default: false },
  },
})
const { quick } = values
const print = (text: string) => stdout.write(`${text}\n`)

print(machine())
const mappings = quick ? 20_000 : 1_000_000

const tokens = async (): Promise<readonly Row[]> => {
  print('tokens: at first sight, and seen before …')
  const first = await benchFirstSight(quick ? 3 : 25, 192)
  return [...firstSightRows(first), ...seenRows(await benchSeen(quick ? 3 : 15))]
}
const overHttp = async (): Promise<readonly Row[]> => {
  print('introspection beside a bare route …')
  return introspectionRows(await benchIntrospection(quick ? 3 : 25, quick ? 300 : 800))
}
const scale = async (): Promise<readonly Row[]> => {
  print('agents: many of them …')
  return scaleRows(await benchScale([1_000, mappings], quick ? 3 : 15))
}
const importing = async (): Promise<readonly Row[]> => {
  print('import: a file of agents …')
  return importRows(await benchImport(quick ? 2_000 : 100_000))
}
const parts = { tokens, http: overHttp, agents: scale, import: importing }
const chosen = (['tokens', 'http', 'agents', 'import'] as const).filter((name) => values[name])
const rowsOfDecisions: Row[] = []
for (const [name, part] of Object.entries(parts)) {
  if (chosen.length === 0 || chosen.some((one) => one === name)) rowsOfDecisions.push(...(await part()))
}
if (chosen.length > 0) {
  print(`\n${machine()}\n${table(rowsOfDecisions)}`)
  process.exit()
}
const store = await benchStore(mappings)

print('daemon: look-ups and kills over HTTP …')
const http = await benchHttp(mappings, quick ? 1 : 5)

print('verifier: decisions in another process …')
const verifier = await benchVerifier(quick ? 2_000 : 100_000, quick ? 20 : 200)

const agents = quick ? 1_000 : 10_000
const groups = 20
print(`propagation: ${whole(agents)} agents in ${groups} mapped groups …`)
const { sync, idle, busy } = await benchPropagation({ agents, groups, samples: quick ? 20 : 200 })

print('in process: a runtime with the AGT client …')
const inProcess = await benchInProcess({ samples: quick ? 20 : 200 })

const many = quick ? 300 : 5_000
print(`mass kill: ${whole(many)} agents in one call …`)
const mass = await benchMassKill(many, quick ? 5 : 60)
print('chains: hop three, killed at hop one …')
const { sizes, ...chains } = await benchChains({
  sizes: [
    { leaves: 1, samples: quick ? 5 : 50 },
    { leaves: 10, samples: quick ? 5 : 20 },
    { leaves: quick ? 100 : 1_000, samples: quick ? 1 : 5 },
  ],
  many: quick ? 50 : 1_000,
})
const chainRows = ({ answer, denied, written, stopped }: ChainTimes): readonly Row[] => [
  ['… answered', spreadText(answer)],
  ['… the last of hop three is denied, as a decision tells', spreadText(denied)],
  ['… its last write has reached the directory', spreadText(written)],
  ['… the last handler of the kill switch ran', spreadText(stopped)],
]

const seconds = (value: number) => `${value.toFixed(1)} s`

const perBare = (perSecond: number) => `${(perSecond / store.holds.barePerSecond).toFixed(2)} × bare`
const rows: readonly Row[] = [
  ...rowsOfDecisions,
  ['kill → PATCH on the wire, idle', spreadText(idle.kill)],
  [`kill → PATCH on the wire, syncing ${whole(agents)}`, spreadText(busy.kill)],
  ['flip by hook → signal, idle', spreadText(idle.flip)],
  [`flip by hook → signal, syncing ${whole(agents)}`, spreadText(busy.flip)],
  ['flip by hook → handler of the kill switch in an AGT process', spreadText(inProcess.flip)],
  ['kill by an operator → handler of the kill switch in an AGT process', spreadText(inProcess.kill)],
  ['kill in an AGT process → recorded at the bridge → its handler', spreadText(inProcess.record)],
  [`${whole(many)} agents killed in one call: answered, all denied`, seconds(mass.answer)],
  ['… first PATCH, half off, last off', [mass.firstPatch, mass.half, mass.last].map(seconds).join(', ')],
  ['… batches of PATCH; PATCHes refused with 429', `${whole(mass.batches)}; ${whole(mass.refusedWrites)}`],
  ['… single kill meanwhile → answer', spreadText(mass.singles.answer)],
  ['… single kill meanwhile → PATCH on the wire', spreadText(mass.singles.patch)],
  [`kill of a parent of ${whole(mass.cascade.descendants)}`, seconds(mass.cascade.seconds)],
  [
    '… its release: parent free, last descendant free',
    [mass.cascade.release.parent, mass.cascade.release.last].map(seconds).join(', '),
  ],
  ['… single kill meanwhile → answer', spreadText(mass.cascade.singles)],
  [
    'a bare request to the daemon; a bare write to the directory',
    `${spreadText(chains.bare.request)}; ${spreadText(chains.bare.write)}`,
  ],
  ...sizes.flatMap(({ leaves, times, freed, undone }): readonly Row[] => [
    [`root of a chain with ${whole(leaves)} at hop three killed`, ''],
    ...chainRows(times),
    ['… released: all allowed and gates open; all accounts on', `${ms(freed)}; ${ms(undone)}`],
  ]),
  [`roots of ${whole(chains.many.chains)} chains of three killed in one call`, ''],
  ...chainRows(chains.many.times),
  ['full passes completed meanwhile', whole(busy.passes)],
  [
    `Graph requests, full sync of ${whole(sync.agents)}`,
    `${whole(sync.requests)} against ${whole(sync.agents)} by one call an agent: ${(sync.agents / sync.requests).toFixed(0)} × fewer (${sync.seconds.toFixed(1)} s; ${whole(sync.calls)} calls, those in a batch counted singly)`,
  ],
  ...store.lookups.map(
    ({ name, perSecond, p50Us, p99Us }): Row => [
      `look-up ${name}, ${whole(mappings)} mappings`,
      `${whole(perSecond)}/s, p50 ${p50Us} µs, p99 ${p99Us} µs`,
    ],
  ),
  [
    `decisions over HTTP, ${whole(mappings)} mappings`,
    `${whole(http.decisions.perSecond)}/s, p50 ${ms(http.decisions.latency.p50)}, p99 ${ms(http.decisions.latency.p99)}`,
  ],
  [
    'memory of the daemon then',
    `${whole(http.memoryMiB)} MiB (store alone in a process: ${whole(store.memoryMiB)} MiB)`,
  ],
  ...verifierRows(verifier),
  ['database', `${whole(store.databaseMiB)} MiB`],
  ['durable holds, bare better-sqlite3', `${whole(store.holds.barePerSecond)}/s`],
  ['durable holds by the store, one after another', `${store.holds.serialRatio} × bare`],
  ['durable holds by the store, 64 at once', `${store.holds.concurrentRatio} × bare`],
  [
    'kills over HTTP, one after another',
    `${whole(http.kills.serialPerSecond)}/s, ${perBare(http.kills.serialPerSecond)}`,
  ],
  [
    'kills over HTTP, 64 at once',
    `${whole(http.kills.concurrentPerSecond)}/s, ${perBare(http.kills.concurrentPerSecond)}`,
  ],
]
print(`\n${machine()}\n${table(rows)}`)

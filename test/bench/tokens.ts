import { cpuUsage } from 'node:process'
import { systemClock } from '../../src/lib/clock.ts'
import { createKeySource } from '../../src/lib/jwks.ts'
import { KeyServer, makeKey, token } from '../unit/issuer.ts'
import { median, type Row, secondsOf } from './figures.ts'
import {
  type Alg,
  algorithms,
  asStrict,
  awsJwtVerify,
  bare,
  type Contender,
  fastJwt,
  jose,
  jsonWebToken,
  ours,
} from './peers.ts'

export interface FirstSight {
  readonly alg: Alg
  readonly lanes: number
  /** A token, ours. */
  readonly took: Took
  /** How many times as much as ours each takes: the median over the rounds of the ratio within one. */
  readonly times: readonly { readonly name: string; readonly took: Took }[]
}

/** Of one token, in µs: from when it was given to when it was verified, and of all threads together. */
interface Took {
  readonly clock: number
  readonly cpu: number
}

const medians = (list: readonly Took[]): Took => ({
  clock: median(list.map(({ clock }) => clock)),
  cpu: median(list.map(({ cpu }) => cpu)),
})

const lanesWide = [1, 64] as const

/** All the tokens, so many at once. */
const timeOf = async ({ verify }: Contender, tokens: readonly string[], lanes: number): Promise<Took> => {
  let next = 0
  const lane = async () => {
    for (let text = tokens[next++]; text !== undefined; text = tokens[next++]) await verify(text)
  }
  const before = cpuUsage()
  const clock = await secondsOf(() => Promise.all(Array.from({ length: lanes }, lane)))
  const { user, system } = cpuUsage(before)
  return { clock: (clock * 1e6) / tokens.length, cpu: (user + system) / tokens.length }
}

/**
 * Tokens that nobody has seen: what each takes to verify one. In turns within a round, in another order each time, since
 * the machine is not equally fast all the time; only what was measured in one round is compared.
 */
export const benchFirstSight = async (rounds: number, count: number): Promise<FirstSight[]> => {
  const results: FirstSight[] = []
  for (const alg of algorithms) {
    const keys = [makeKey('old', alg), makeKey('new', alg)]
    const [, signing = makeKey('new', alg)] = keys
    await using server = await KeyServer.start(...keys)
    const source = createKeySource({ uri: server.uri, fetch: server.fetch, clock: systemClock })
    await source.refresh()
    const tokens = Array.from({ length: count }, (_, n) => token(signing, Date.now(), { jti: `${n}` }))
    const peers = [
      fastJwt(alg, keys, false),
      ...(alg === 'EdDSA' ? [] : [jsonWebToken(alg, keys)]),
      awsJwtVerify(alg, keys, server.uri),
    ]
    const contenders = [
      ours(server, alg, source),
      ...(await jose(alg, keys)),
      ...peers,
      ...peers.map(asStrict),
      ...bare(alg, keys),
    ]
    for (const lanes of lanesWide) {
      const times = contenders.map(() => [] as Took[])
      for (let round = -1; round < rounds; round += 1) {
        for (let i = 0; i < contenders.length; i += 1) {
          const at = (i + round + contenders.length) % contenders.length
          const contender = contenders[at]
          if (contender === undefined) continue
          const took = await timeOf(contender, tokens, lanes)
          // The first round warms up.
          if (round >= 0) times[at]?.push(took)
        }
      }
      const [mine = [], ...others] = times
      results.push({
        alg,
        lanes,
        took: medians(mine),
        times: others.map((list, i) => ({
          name: contenders[i + 1]?.name ?? '',
          took: medians(
            list.map(({ clock, cpu }, round) => ({
              clock: clock / (mine[round]?.clock ?? Number.NaN),
              cpu: cpu / (mine[round]?.cpu ?? Number.NaN),
            })),
          ),
        })),
      })
    }
    source.close()
  }
  return results
}

export const firstSightRows = (results: readonly FirstSight[]): Row[] =>
  results.map(({ alg, lanes, took, times }) => [
    `first sight of a token, ${alg}, ${lanes === 1 ? 'one after another' : `${lanes} at once`}`,
    [
      `${took.clock.toFixed(0)} µs (CPU ${took.cpu.toFixed(0)})`,
      ...times.map(({ name, took: { clock, cpu } }) => `${name} ${clock.toFixed(2)} × (CPU ${cpu.toFixed(2)} ×)`),
    ].join(', '),
  ])

import type { DecisionRequest } from '../../clients/decisions.ts'
import type { BridgeError } from '../../clients/verifier/index.ts'
import type { VerifierOptions } from '../../clients/verifier/options.ts'
import { createVerifier, type LocalAnswer, type Verifier } from '../../clients/verifier/verifier.ts'
import type { Issuer } from '../../src/core/adapter.ts'
import { backgroundClock, type Clock } from '../../src/lib/clock.ts'
import { createKeySource, type KeySource } from '../../src/lib/jwks.ts'
import { until } from '../e2e/until.ts'
import { registrar, World, type WorldOptions } from '../engine/harness.ts'
import { type Listening, listen } from '../http/listen.ts'

/** The real engine on a real store behind the real server, and the library beside it, over sockets. */
export interface VerifierWorld extends AsyncDisposable {
  readonly world: World
  readonly server: Listening
  readonly verifier: Verifier
  readonly errors: BridgeError[]
  /** As the bridge answers it over HTTP; a failure as its code. */
  remote(request: DecisionRequest): Promise<unknown>
  /** As the library answers it, without the staleness. */
  local(request: DecisionRequest): Promise<unknown>
  /** Until the library knows everything that the bridge has recorded so far. */
  rest(): Promise<void>
}

/** Wall time of the world, everything else of this machine, but quicker: what waits is woken by sockets. */
const clockOf = (world: World): Clock => ({
  ...backgroundClock,
  now: () => world.clock.now(),
  sleep: (ms, signal) => backgroundClock.sleep(ms / 50, signal),
})

const withoutStaleness = ({ staleness: _, ...answer }: LocalAnswer) => answer

export const verifierWorld = async (
  options: WorldOptions = {},
  given: Partial<VerifierOptions> = {},
): Promise<VerifierWorld> => {
  await using stack = new AsyncDisposableStack()
  const world = stack.use(await World.open(options))
  const server = stack.use(await listen({ bridge: world.bridge, metrics: world.metrics }))
  const clock = clockOf(world)
  const sources = new Map<string, KeySource>()
  const issuers = (): Issuer[] => [...world.deps.mounts().values()].flatMap(({ adapter }) => adapter.issuers)
  const keyring = {
    keys: (uri: string) => {
      const known = sources.get(uri)
      if (known !== undefined) return known
      const issuer = issuers().find(({ jwksUri }) => jwksUri === uri)
      if (issuer === undefined) throw new Error(`nobody serves ${uri}`)
      const source = createKeySource({ uri, fetch: issuer.fetch, clock })
      sources.set(uri, source)
      return source
    },
    keep: () => undefined,
    close: async () => undefined,
  }
  const errors: BridgeError[] = []
  const verifier = stack.use(
    createVerifier(
      {
        url: `http://127.0.0.1:${server.port}`,
        token: 'gateway-token',
        maxAgeMs: 60_000,
        onError: (error) => errors.push(error),
        ...given,
      },
      { clock, keyring },
    ),
  )
  await verifier.ready()
  const failure = (error: unknown) =>
    error instanceof Error && 'code' in error ? { code: error.code } : { code: String(error) }
  let marks = 0
  const held = stack.move()
  return {
    world,
    server,
    verifier,
    errors,
    remote: async (body) => {
      const { status, json } = await server.ask('/v1/decisions', { as: 'gateway', body })
      return status === 200 ? json : { code: json?.code }
    },
    local: (request) => verifier.decide(request).then(withoutStaleness, failure),
    rest: async () => {
      const did = `did:mesh:mark-${++marks}`
      await world.bridge.register({ did, name: 'mark' }, registrar)
      const { seq } = await world.store.auditHead()
      await until('the library knows the mark', async () => {
        const { allow, epoch } = await verifier.decide({ did })
        return allow && epoch === seq
      })
    },
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  }
}

import { identifierOf } from '../../adapters/identifying.ts'
import type { Issuer } from '../../src/core/adapter.ts'
import type { JudgedPolicy } from '../../src/core/judging.ts'
import type { DecisionInput, DecisionView } from '../../src/engine/api.ts'
import { createDecider } from '../../src/engine/deciding.ts'
import type { TokenAdapter } from '../../src/engine/issuertable.ts'
import type { ReplicaSettings } from '../../src/engine/replicaapi.ts'
import { createVerifier } from '../../src/engine/verify.ts'
import type { Clock } from '../../src/lib/clock.ts'
import type { KeySource } from '../../src/lib/jwks.ts'
import type { Soon } from '../../src/lib/soon.ts'
import type { Replica } from './replica.ts'
import { toldKeys } from './told.ts'

/** The signing keys at an address that the bridge named; the same source each time. */
export type Keys = (uri: string) => Pick<KeySource, 'key' | 'held' | 'version'>

/** Decides by one replica: the bridge's own code, on what was told instead of on the store. */
export interface Judge {
  decide(input: DecisionInput): Soon<DecisionView>
  /** @throws BridgeError E_CONFIG two issuers share an (issuer, audience) pair */
  settle(settings: ReplicaSettings): void
}

const unfetched: Issuer['fetch'] = () => Promise.reject(new Error('keys are fetched by their source'))

/** A kind that this version does not know: whom its tokens name is for the bridge to tell. */
const unknownKind: TokenAdapter['identify'] = () => ({ refused: 'R_REPLICA' })

const adaptersOf = ({ adapters }: ReplicaSettings): TokenAdapter[] =>
  adapters.map(({ name, kind, identity, issuers }) => ({
    name,
    identify: identifierOf(kind, identity) ?? unknownKind,
    issuers: issuers.map(
      ({ namedBy, keysFrom, keys, headers, types, audienceClaim, lifetimeMs, opaque, ...issuer }) => ({
        ...issuer,
        fetch: unfetched,
        ...(namedBy !== null && { namedBy }),
        ...(keysFrom === 'bridge' && { keys: toldKeys(keys) }),
        ...(headers !== null && { headers }),
        ...(types !== null && { types }),
        ...(audienceClaim !== null && { audienceClaim }),
        ...(lifetimeMs !== null && { lifetimeMs }),
        ...(opaque && { opaque }),
      }),
    ),
  }))

export const createJudge = (replica: Replica, first: ReplicaSettings, keys: Keys, clock: Clock): Judge => {
  let adapters = adaptersOf(first)
  let text = JSON.stringify(first.adapters)
  const policyOf = ({ denyAfterMs, unknownActors }: ReplicaSettings): JudgedPolicy => ({
    maxStaleness: { denyMs: denyAfterMs },
    unknownActors,
  })
  let policy = policyOf(first)
  const verifier = createVerifier({
    adapters: () => adapters,
    keys: (issuer) => issuer.keys ?? keys(issuer.jwksUri),
    clock,
    store: replica,
  })
  const decider = createDecider(
    {
      store: replica,
      mounts: () => new Map(adapters.map((adapter) => [adapter.name, { adapter }])),
      policy: () => policy,
      clock,
      log: { info: () => undefined },
      metrics: { inc: () => undefined },
    },
    verifier,
    { note: () => undefined },
  )
  return {
    decide: decider.decide,
    settle: (settings) => {
      policy = policyOf(settings)
      replica.limit(new Map(settings.limits.map((one) => [one.blueprint, one.maxDelegationDepth])))
      replica.guard(settings.toolServers)
      const next = JSON.stringify(settings.adapters)
      if (next === text) return
      text = next
      adapters = adaptersOf(settings)
      verifier.reload()
    },
  }
}

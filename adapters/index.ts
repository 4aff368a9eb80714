import type { AdapterBase } from '../src/config/adapter.ts'
import type { Adapter } from '../src/core/adapter.ts'
import { BridgeError } from '../src/core/errors.ts'
import { type AwsConfig, awsConfig } from './aws/config.ts'
import type { AdapterDeps } from './deps.ts'
import { type EntraConfig, entraConfig } from './entra/config.ts'
import { type MemoryConfig, memoryConfig } from './memory/config.ts'
import { type OktaConfig, oktaConfig } from './okta/config.ts'
import { type SpiffeConfig, spiffeConfig } from './spiffe/config.ts'

/** The shape of each kind's configuration. */
export const configs = {
  aws: awsConfig,
  entra: entraConfig,
  memory: memoryConfig,
  okta: oktaConfig,
  spiffe: spiffeConfig,
}

/** Those whose adapter has `callers`. */
export const callerKinds: readonly (keyof typeof configs)[] = ['entra']

// `kind` is a literal in each schema, so a parsed configuration is of the shape that its kind names.
const isAws = (config: AdapterBase): config is AwsConfig => config.kind === 'aws'
const isEntra = (config: AdapterBase): config is EntraConfig => config.kind === 'entra'
const isMemory = (config: AdapterBase): config is MemoryConfig => config.kind === 'memory'
const isOkta = (config: AdapterBase): config is OktaConfig => config.kind === 'okta'
const isSpiffe = (config: AdapterBase): config is SpiffeConfig => config.kind === 'spiffe'

/** Opens one configured directory, without I/O. `config` is parsed already; a kind that was not loaded is E_CONFIG. */
type OpenAdapter = (name: string, config: AdapterBase, deps: AdapterDeps) => Adapter

/** Loads what these kinds need, their SDKs included: half of what a daemon would load is for directories it does not have. */
export async function loadAdapters(kinds: Iterable<string>): Promise<OpenAdapter> {
  const wanted = new Set(kinds)
  const aws = wanted.has('aws') ? (await import('./aws/index.ts')).open : undefined
  const entra = wanted.has('entra') ? (await import('./entra/index.ts')).open : undefined
  const memory = wanted.has('memory') ? (await import('./memory/index.ts')).open : undefined
  const okta = wanted.has('okta') ? (await import('./okta/index.ts')).open : undefined
  const spiffe = wanted.has('spiffe') ? (await import('./spiffe/index.ts')).open : undefined
  return (name, config, deps) => {
    if (aws && isAws(config)) return aws(name, config, deps)
    if (entra && isEntra(config)) return entra(name, config, deps)
    if (memory && isMemory(config)) return memory(name, config, deps)
    if (okta && isOkta(config)) return okta(name, config, deps)
    if (spiffe && isSpiffe(config)) return spiffe(name, config, deps)
    throw new BridgeError('E_CONFIG', `there is no adapter of kind ${config.kind}`)
  }
}

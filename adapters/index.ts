import type { AdapterBase } from '../src/config/adapter.ts'
import type { Adapter } from '../src/core/adapter.ts'
import { BridgeError } from '../src/core/errors.ts'
import { type AwsConfig, awsConfig } from './aws/config.ts'
import { open as openAws } from './aws/index.ts'
import type { AdapterDeps } from './deps.ts'
import { type EntraConfig, entraConfig } from './entra/config.ts'
import { open as openEntra } from './entra/index.ts'
import { type MemoryConfig, memoryConfig } from './memory/config.ts'
import { open as openMemory } from './memory/index.ts'
import { type OktaConfig, oktaConfig } from './okta/config.ts'
import { open as openOkta } from './okta/index.ts'
import { type SpiffeConfig, spiffeConfig } from './spiffe/config.ts'
import { open as openSpiffe } from './spiffe/index.ts'

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

/** Opens one configured directory, without I/O. `config` is parsed already; an unknown kind is E_CONFIG. */
export function openAdapter(name: string, config: AdapterBase, deps: AdapterDeps): Adapter {
  if (isAws(config)) return openAws(name, config, deps)
  if (isEntra(config)) return openEntra(name, config, deps)
  if (isMemory(config)) return openMemory(name, config, deps)
  if (isOkta(config)) return openOkta(name, config, deps)
  if (isSpiffe(config)) return openSpiffe(name, config, deps)
  throw new BridgeError('E_CONFIG', `there is no adapter of kind ${config.kind}`)
}

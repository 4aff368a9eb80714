import { callerKinds, configs } from '../../adapters/index.ts'
import { outletConfigs } from '../../outlets/index.ts'
import { type Config, loadConfig } from '../config.ts'
import { BridgeError } from '../core/errors.ts'
import type { Io } from './io.ts'

/** The configuration file named by `--config` or IDP_BRIDGE_CONFIG, read and checked. */
export const readConfig = (io: Io, path: string | undefined): { config: Config; path: string } => {
  const file = path ?? io.env.IDP_BRIDGE_CONFIG
  if (file === undefined || file === '') {
    throw new BridgeError('E_USAGE', 'No configuration file was named.', {
      hint: 'Use --config bridge.yaml or set IDP_BRIDGE_CONFIG; see config/bridge.example.yaml.',
    })
  }
  const kinds = { adapterKinds: configs, outletKinds: outletConfigs, callerKinds }
  return { config: loadConfig(file, { env: io.env, ...kinds }), path: file }
}

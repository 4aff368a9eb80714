import { ConfigError, formatFaults } from '../config.ts'
import { readConfig } from './config.ts'
import { type Io, paint } from './io.ts'

/** Checks the file without starting anything; every fault at once. Returns the exit code. */
export const checkConfig = (io: Io, options: { readonly config?: string; readonly json?: boolean }): number => {
  try {
    const { config, path } = readConfig(io, options.config)
    const adapters = Object.entries(config.adapters).map(([name, { kind }]) => `${name} (${kind})`)
    if (options.json) io.out(JSON.stringify({ ok: true, faults: [] }))
    else
      io.out(
        `${paint(io).green('ok')} ${path}: ${config.auth.clients.length} clients, adapters: ${adapters.join(', ') || 'none'}`,
      )
    return 0
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    if (options.json) io.out(JSON.stringify({ ok: false, faults: error.faults }))
    else io.err(formatFaults(error.faults, options.config ?? io.env.IDP_BRIDGE_CONFIG))
    return error.exit
  }
}

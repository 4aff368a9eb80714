import { configs, loadAdapters } from '../../adapters/index.ts'
import type { AdapterBase } from '../../src/config/adapter.ts'
import type { Adapter } from '../../src/core/adapter.ts'
import { type Clock, systemClock } from '../../src/lib/clock.ts'
import { createKeySource } from '../../src/lib/jwks.ts'
import { createLogger } from '../../src/lib/log.ts'
import { createOutbound } from '../../src/lib/outbound.ts'

export interface Opening extends AsyncDisposable {
  open(config: AdapterBase, env?: Record<string, string>, publicUrl?: string): Adapter
  /** All that the adapters logged, as it is written. */
  logged(): string
}

const openAdapter = await loadAdapters(Object.keys(configs))

/** Opens adapters as the daemon does, and closes them at the end. */
export function opening(clock: Clock): Opening {
  const lines: string[] = []
  const log = createLogger({ level: 'debug', destination: { write: (line) => void lines.push(line) } })
  const outbound = createOutbound({ userAgent: 'idp-bridge/test', clock: systemClock })
  const opened: Adapter[] = []
  const keys = (uri: string, fetch: Parameters<typeof createKeySource>[0]['fetch']) =>
    createKeySource({ uri, fetch, clock: systemClock })
  return {
    open(config, env = {}, publicUrl) {
      const adapter = openAdapter('contoso', config, { outbound, clock, log, random: () => 0.5, keys, env, publicUrl })
      opened.push(adapter)
      return adapter
    },
    logged: () => lines.join(''),
    async [Symbol.asyncDispose]() {
      for (const adapter of opened) await adapter.close?.()
      await outbound.close()
    },
  }
}

import type { Clock } from '../../src/lib/clock.ts'
import { asFetch } from '../../src/lib/fetchshapes.ts'
import { createKeySource, type KeySource } from '../../src/lib/jwks.ts'
import { createOutbound, type OutboundOptions } from '../../src/lib/outbound.ts'
import type { Keys } from './judge.ts'

export interface Keyring {
  readonly keys: Keys
  /** Fetches those of these addresses before anybody asks, and forgets all others. */
  keep(uris: ReadonlySet<string>): void
  close(): Promise<void>
}

const limits = { timeoutMs: 15_000, maxBytes: 512 * 1024 }

/** Signing keys of the directories, fetched from the very addresses that the bridge fetches them from, and kept as it does. */
export const createKeyring = (
  options: Pick<OutboundOptions, 'proxy' | 'noProxy' | 'caFile'>,
  clock: Clock,
): Keyring => {
  const outbound = createOutbound({ ...options, userAgent: 'agentmesh-idp-bridge-verifier', clock })
  const closed = new AbortController()
  const sources = new Map<string, KeySource>()
  const keys = (uri: string): KeySource => {
    const known = sources.get(uri)
    if (known !== undefined) return known
    const fetch = asFetch(outbound.origin([new URL(uri).origin], limits), closed.signal)
    const source = createKeySource({ uri, fetch, clock })
    sources.set(uri, source)
    void source.start(closed.signal)
    return source
  }
  return {
    keys,
    keep: (uris) => {
      for (const [uri, source] of sources) {
        if (uris.has(uri)) continue
        source.close()
        sources.delete(uri)
      }
      for (const uri of uris) keys(uri)
    },
    close: async () => {
      closed.abort()
      for (const source of sources.values()) source.close()
      await outbound.close()
    },
  }
}

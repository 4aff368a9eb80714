import { BridgeError } from '../../src/core/errors.ts'
import type { Caller } from '../../src/engine/agentapi.ts'
import type { PassportInput, Publishing } from '../../src/engine/publishingapi.ts'

export interface PublishingDouble extends Publishing {
  readonly passports: PassportInput[]
}

/** Whatever is published, in memory and unsigned. */
export const createPublishingDouble = (start: number, seen: (caller: Caller) => void): PublishingDouble => {
  const passports: PassportInput[] = []
  const uri = 'https://bridge.contoso.com/statuslists/first-1'
  return {
    passports,
    async passport(did, input, caller) {
      seen(caller)
      passports.push(input)
      const { capabilities = ['read:reports'], lifetimeMs = 900_000, key } = input
      const status = { uri, idx: 4711 }
      return {
        did,
        passport: 'a.b.c',
        jti: 'jti-1',
        issuedAt: start,
        expiresAt: start + lifetimeMs,
        capabilities,
        status,
        key,
      }
    },
    statusLists: async () => [uri],
    async statusList(name) {
      if (name !== 'first-1') throw new BridgeError('E_NOT_FOUND', 'There is no such status list.')
      return { token: 'd.e.f', etag: '"etag-1"', ttlMs: 10_000 }
    },
    revokedKeys: () => ['kid-0'],
    revokedFor: async (_name, idx) => (idx === 4711 ? ['kid-0'] : ['kid-0', 'kid-1']),
  }
}

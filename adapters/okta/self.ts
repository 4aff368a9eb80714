import type { Api } from './api.ts'
import type { Self } from './audit.ts'
import type { Credential } from './credential.ts'
import { purposes, user } from './kinds.ts'

export interface Selves {
  /** @throws BridgeError when the org cannot tell now */
  learn(signal: AbortSignal): Promise<Self>
  /** Undefined until learned, where only the org can tell. */
  known(): Self | undefined
}

/** Who the bridge is: the app it signs in as, or the user whose API token it uses, whom only the org can name. */
export function openSelf(api: Api, credential: Credential): Selves {
  const { clientId } = credential
  if (clientId !== undefined) {
    const self: Self = { id: clientId, byApiToken: false }
    return { known: () => self, learn: async () => self }
  }
  const path = '/api/v1/users/me'
  /** The token may be exchanged for one of another user. */
  let learned: { readonly self: Self; readonly token: string } | undefined
  return {
    known: () => learned?.self,
    async learn(signal) {
      const { token } = await credential.sign({ method: 'GET', url: `${api.origin}${path}` }, signal)
      if (learned?.token === token) return learned.self
      const options = { purpose: purposes.readUsers, lane: 'suspend', signal } as const
      const { value } = await api.get({ path }, user, options)
      learned = { self: { id: value.id, byApiToken: true }, token }
      return learned.self
    },
  }
}

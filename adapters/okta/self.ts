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
  let self: Self | undefined = clientId === undefined ? undefined : { id: clientId, byApiToken: false }
  return {
    known: () => self,
    async learn(signal) {
      if (self) return self
      const options = { purpose: purposes.readUsers, lane: 'suspend', signal } as const
      const { value } = await api.get({ path: '/api/v1/users/me' }, user, options)
      self = { id: value.id, byApiToken: true }
      return self
    },
  }
}

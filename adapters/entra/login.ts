import type { Outbound, PinnedFetch } from '../../src/lib/outbound.ts'
import type { Cloud } from './clouds.ts'
import type { EntraConfig } from './config.ts'

export const LOGIN_LIMITS = { timeoutMs: 15_000, maxBytes: 512 * 1024 }
const METADATA = 'http://169.254.169.254'
/** Where platforms say that their token endpoint is; `@azure/identity` calls what these name. */
const ENDPOINT_VARIABLES = ['IDENTITY_ENDPOINT', 'MSI_ENDPOINT', 'AZURE_POD_IDENTITY_AUTHORITY_HOST'] as const

type Environment = Readonly<Record<string, string | undefined>>

/** Pinned to where a credential gets its tokens. */
export function loginFetch(
  { credential }: Pick<EntraConfig, 'credential'>,
  cloud: Pick<Cloud, 'authority'>,
  { outbound, env }: { readonly outbound: Outbound; readonly env?: Environment },
): PinnedFetch {
  const origins = [cloud.authority, ...(credential.type === 'managedIdentity' ? platform(env) : [])]
  return outbound.origin(origins, LOGIN_LIMITS)
}

/** Origins of the platform's own token endpoints. Plain http is pinned by the client for loopback and metadata only. */
function platform(env: Environment | undefined): string[] {
  const named = ENDPOINT_VARIABLES.map((variable) => env?.[variable]).filter((value) => value !== undefined)
  const origins = named.filter((value) => URL.canParse(value)).map((value) => new URL(value).origin)
  return [...new Set([METADATA, ...origins])]
}

import type { EntraConfig } from '../../adapters/entra/config.ts'
import { configs } from '../../adapters/index.ts'
import { type EntraTenant, type EntraTenantOptions, startEntraTenant } from '../../sandbox/entra/index.ts'
import { bridgeRoles } from '../../sandbox/entra/seed.ts'
import type { Adapter } from '../../src/core/adapter.ts'
import { type Clock, systemClock } from '../../src/lib/clock.ts'
import { opening } from './opening.ts'

export const SECRET = 'the-client-secret-of-the-bridge'
export const HOOK_KEY = 'the-shared-key-of-the-hooks'
export const AUDIENCE = 'api://agents'

/** Real time, except that nothing waits for long. */
export const hasty: Clock = {
  ...systemClock,
  sleep: (ms, signal) => systemClock.sleep(Math.min(ms, 2), signal),
}

/** Real time that jumps ahead instead of waiting. */
export function leaping(): Clock {
  let ahead = 0
  return {
    now: () => systemClock.now() + ahead,
    mono: () => systemClock.mono() + ahead,
    async sleep(ms, signal) {
      signal?.throwIfAborted()
      ahead += ms
    },
  }
}

export interface Bench extends AsyncDisposable {
  readonly tenant: EntraTenant
  readonly adapter: Adapter
  readonly bridge: { readonly appId: string; readonly servicePrincipalId: string }
  readonly blueprint: { readonly id: string; readonly appId: string }
  logged(): string
  /** Another adapter on the same tenant. */
  open(settings: Record<string, unknown>, env?: Record<string, string>, publicUrl?: string): Adapter
}

export interface BenchOptions extends EntraTenantOptions {
  readonly roles?: readonly string[]
  readonly settings?: Record<string, unknown>
  readonly clock?: Clock
  /** Where the first adapter is told that the world reaches it. */
  readonly publicUrl?: string
}

export const allKinds = ['agentIdentity', 'agentUser', 'servicePrincipal', 'user']

/** A tenant, a registered bridge and the adapter on it, over sockets. */
export async function bench(options: BenchOptions = {}): Promise<Bench> {
  const { roles = bridgeRoles, settings = {}, clock = hasty, publicUrl: told, ...tenantOptions } = options
  const tenant = await startEntraTenant({ throttle: false, ...tenantOptions })
  const bridge = tenant.registerApp({ name: 'bridge', roles: [...roles], secret: SECRET })
  const blueprint = tenant.addBlueprintPrincipal({ displayName: 'blueprint' })
  const adapters = opening(clock)

  const open: Bench['open'] = (more, env = {}, publicUrl) => {
    const config: EntraConfig = configs.entra.parse({
      kind: 'entra',
      tenantId: tenant.tenantId,
      endpoints: { graph: tenant.origin, authority: tenant.origin },
      credential: { type: 'clientSecret', clientId: bridge.appId, secret: SECRET },
      manage: { kinds: allKinds },
      tokens: { audiences: [AUDIENCE] },
      hooks: { eventGrid: { auth: 'key', key: HOOK_KEY } },
      ...settings,
      ...more,
    })
    return adapters.open(config, env, publicUrl)
  }

  return {
    tenant,
    bridge,
    blueprint,
    adapter: open({}, {}, told),
    open,
    logged: adapters.logged,
    async [Symbol.asyncDispose]() {
      await adapters[Symbol.asyncDispose]()
      await tenant.close()
    },
  }
}

export const signal = () => AbortSignal.timeout(30_000)
export const never = 'ffffffff-ffff-4fff-8fff-ffffffffffff'

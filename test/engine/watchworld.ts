import assert from 'node:assert/strict'
import type { Alert } from '../../src/engine/deps.ts'
import { type ManualClock, manualClock } from '../../src/lib/clock.ts'
import { STATE, watchRoles } from '../adapters/watching.ts'
import { until } from '../e2e/until.ts'
import { createDouble } from '../http/bridge.ts'
import { listen } from '../http/listen.ts'
import { agent, idle, principal } from '../store/fixture.ts'
import { type TenantWorld, tenantWorld } from './tenantworld.ts'

export interface WatchWorld extends AsyncDisposable {
  readonly world: TenantWorld
  readonly clock: ManualClock
  readonly alerts: readonly Pick<Alert, 'code' | 'text'>[]
  /** An agent whose account is a user, which Graph tells of; read once, and on. */
  user(name: string): Promise<string>
  isHeld(did: string): Promise<boolean>
  disable(did: string): void
  /** Every reading that is due, done. */
  work(): Promise<void>
  /** What was sent to the hook was taken. */
  delivered(): Promise<void>
}

/** The engine, its hooks at their address of the real server, and a tenant whose Graph delivers there. */
export const watchWorld = async (clientState: unknown = STATE): Promise<WatchWorld> => {
  await using stack = new AsyncDisposableStack()
  const clock = manualClock(Date.now())
  const alerts: { code: string; text: string }[] = []
  let world: TenantWorld | undefined
  const hook: ReturnType<typeof createDouble>['hook'] = async (...given) => {
    assert.ok(world)
    return world.bridge.hook(...given)
  }
  const server = stack.use(await listen({ bridge: { ...createDouble(), hook } }))
  world = stack.use(
    await tenantWorld({
      clock,
      now: () => clock.now(),
      roles: watchRoles,
      publicUrl: `http://127.0.0.1:${server.port}`,
      settings: { hooks: { graph: { clientState } } },
      eventGridRetryScale: 0.0005,
      alert: (code, text) => void alerts.push({ code, text }),
    }),
  )
  const { tenant, deps, runner, signal } = world
  const ids = new Map<string, string>()
  const isHeld = async (did: string) => (await deps.store.openHolds(did)).length > 0
  const work = async () => {
    while ((await runner.mirror.workOnce(signal)) === 'more');
  }
  const held = stack.move()
  return {
    world,
    clock,
    alerts,
    user: async (name) => {
      const did = `did:mesh:${name}`
      const id = tenant.addUser({ displayName: name })
      ids.set(did, id)
      await deps.store.write(async (tx) => {
        await tx.insertAgent(agent(did))
        await tx.insertPrincipal(principal(did, id, { adapter: 'contoso', kind: 'user' }), idle)
      })
      return did
    },
    isHeld,
    disable: (did) => tenant.setEnabled(ids.get(did) ?? '', false),
    work,
    delivered: async () => {
      const over = () =>
        tenant.subscriptions.deliveries.every(({ outcome }) => outcome === 'delivered' || outcome === 'dropped')
      await until('everything sent was taken', over)
    },
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  }
}

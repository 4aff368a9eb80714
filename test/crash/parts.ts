import assert from 'node:assert/strict'
import { resolve } from 'node:path'
import type { SeenRequest } from '../../sandbox/entra/index.ts'
import type { AuditEntry } from '../../src/core/audit.ts'
import { verifyAudit } from '../../src/engine/auditing.ts'
import { openStoreReadonly } from '../../src/store/index.ts'
import { agentOf } from '../e2e/agents.ts'
import { at, listAt } from '../e2e/json.ts'
import type { Daemon, World } from '../e2e/world.ts'

export const program = resolve(import.meta.dirname, 'daemon.ts')

/** A write whose answer a crash takes is in flight for the 30 s of its timeout; this is that, and then some. */
export const patienceMs = 60_000

/** Waits for the crash; the process must have died by its own hand. */
export const crashed = async ({ process }: Daemon): Promise<void> => {
  const { code, err } = await process.ended()
  assert.equal(code, undefined, `it ended by itself: ${err}`)
}

/** The request's answer, or undefined when the crash took it. */
export const maybe = async <T>(asked: Promise<T>): Promise<T | undefined> => {
  try {
    return await asked
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ECONNRESET' || error.code === 'ECONNREFUSED')) {
      return undefined
    }
    throw error
  }
}

export const patchesOf = ({ tenant }: World, id: string, enabled: boolean): readonly SeenRequest[] =>
  tenant.requests.filter(
    ({ method, path, body }) => method === 'PATCH' && path.includes(id) && at(body, 'accountEnabled') === enabled,
  )

export const auditOf = async ({ databaseFile }: World): Promise<readonly AuditEntry[]> => {
  const store = await openStoreReadonly(`sqlite:${databaseFile}`)
  try {
    const check = await verifyAudit(store)
    assert.equal(check.fault, undefined)
    assert.ok(check.ok)
    return await store.audit({ limit: 1_000_000 })
  } finally {
    await store.close()
  }
}

/** The chain is whole, and every hold and release stands in it exactly once. */
export const assertAudit = async (world: World): Promise<void> => {
  const entries = await auditOf(world)
  for (const type of ['hold.placed', 'hold.released']) {
    const ids = entries.filter((entry) => entry.type === type).map(({ hold }) => hold)
    assert.equal(new Set(ids).size, ids.length, `a second ${type}`)
  }
}

/** Origins of the open holds: an echo of our own write, taken for somebody else's doing, would show here. */
export const originsOf = async (daemon: Daemon, did: string): Promise<readonly unknown[]> =>
  listAt(await agentOf(daemon, did), 'holds').map((hold) => at(hold, 'origin'))

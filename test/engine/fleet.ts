import { freshAccount } from '../../src/core/account.ts'
import type { Agent } from '../../src/core/types.ts'
import { agent, idle, principal } from '../store/fixture.ts'
import { type Name, names, type World } from './harness.ts'

/** `count` agents `a0`, `a1`, … with an account in each of the directories, mapped in one go and read once. */
export const fleetOf = async (world: World, count: number, where: readonly Name[] = names): Promise<string[]> => {
  const dids = Array.from({ length: count }, (_, n) => `did:mesh:a${n}`)
  const now = world.clock.now()
  for (let at = 0; at < count; at += 500) {
    await world.store.write(async (tx) => {
      for (const did of dids.slice(at, at + 500)) {
        const id = did.slice('did:mesh:'.length)
        await tx.insertAgent({
          did,
          name: id,
          sponsor: undefined,
          blueprint: undefined,
          parentDid: undefined,
          labels: {},
          decommissioned: false,
          createdAt: now,
          updatedAt: now,
          revision: 1,
          lastActivity: undefined,
          resumedAt: undefined,
        })
        for (const adapter of where) {
          world.directories[adapter].add({ id })
          const common = {
            kind: 'account',
            appId: undefined,
            scopes: [],
            shared: false,
            mappedAt: now,
            account: freshAccount,
          }
          await tx.insertPrincipal({ adapter, id, did, ...common }, { nextAt: undefined, lane: 1 })
        }
      }
    })
  }
  await world.poll()
  await world.clock.advance(1)
  return dids
}

/** Registered by the store alone, with an account in each directory: what registering does is not what is tested. */
export const fleet = async (
  world: World,
  count: number,
  input: Partial<Agent> = {},
  prefix = 'a',
): Promise<string[]> => {
  const ids = Array.from({ length: count }, (_, n) => `${prefix}${n}`)
  await world.store.write(async (tx) => {
    for (const id of ids) await tx.insertAgent(agent(`did:mesh:${id}`, input))
    for (const id of ids) {
      for (const adapter of names) {
        world.directories[adapter].add({ id })
        await tx.insertPrincipal(principal(`did:mesh:${id}`, id, { adapter, kind: 'account' }), idle)
      }
    }
  })
  return ids.map((id) => `did:mesh:${id}`)
}

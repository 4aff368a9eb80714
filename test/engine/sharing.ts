import type { AgentInput, PrincipalInput } from '../../src/engine/agentapi.ts'
import { registrar, type World } from './harness.ts'

/** The account that the agents of these tests share, in north. */
export const account = 's'

export const sharedAccount = (part: Partial<PrincipalInput> = {}): PrincipalInput => ({
  adapter: 'north',
  id: account,
  kind: 'account',
  shared: true,
  ...part,
})

/** An agent that shares the account in north, and has one of its own in south. */
export const sharer = async (
  world: World,
  id: string,
  part: Partial<PrincipalInput> = {},
  input: Partial<AgentInput> = {},
): Promise<string> => {
  if (!world.north.ids.includes(account)) world.north.add({ id: account })
  if (!world.south.ids.includes(id)) world.south.add({ id })
  const principals = [sharedAccount(part), { adapter: 'south', id, kind: 'account' }]
  const did = `did:mesh:${id}`
  await world.bridge.register({ did, name: id, principals, ...input }, registrar)
  return did
}

import { KillSwitch } from '@microsoft/agent-governance-sdk'
import { attach } from '../../clients/agt/index.ts'
import { startWorld, tokenOf } from '../e2e/world.ts'
import { type Spread, spreadOf } from './figures.ts'
import { createFleet, type Member } from './fleet.ts'
import { configured, firstPass, never, subscribe } from './propagation.ts'

export interface InProcess {
  /** From the flip of the switch in the directory, through a hook, to the handler of the SDK's kill switch. */
  readonly flip: Spread
  /** From before an operator's kill is sent to the handler. */
  readonly kill: Spread
  /** From a local kill to its handler: what recording it first costs. */
  readonly record: Spread
}

/** A process with the real SDK attached to the daemon, on loopback, one agent after another. */
export const benchInProcess = async ({ samples }: { samples: number }): Promise<InProcess> => {
  await using world = await startWorld({}, { requestLogSize: 100_000 })
  const fleet = await createFleet(world, { identities: 2 * samples, users: samples, groups: 1 })
  configured(world, fleet.groups, never)
  await using daemon = await world.daemon()
  await firstPass(daemon)
  await subscribe(world, daemon)
  const killSwitch = new KillSwitch()
  const bridge = attach({ url: daemon.origin, token: tokenOf('runtime'), killSwitch, killFrom: 'suspend' })
  await bridge.ready()

  const timed = async (members: readonly Member[], start: (member: Member) => unknown): Promise<Spread> => {
    const times: number[] = []
    for (const member of members) {
      const fired = Promise.withResolvers<number>()
      killSwitch.registerHandler(member.did, () => fired.resolve(performance.now()))
      const started = performance.now()
      const done = start(member)
      times.push((await fired.promise) - started)
      await done
    }
    return spreadOf(times)
  }
  const { identities, users } = fleet
  const killed = (agentId: string) => daemon.as('alice').post('/v1/kill', { agentId, reason: 'bench' })
  const flip = await timed(users, ({ id }) => world.tenant.setEnabled(id, false))
  const kill = await timed(identities.slice(0, samples), ({ did }) => killed(did))
  const record = await timed(identities.slice(samples), ({ did }) => killSwitch.kill(did, { reason: 'bench' }))
  await bridge.stop()
  return { flip, kill, record }
}

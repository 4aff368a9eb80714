import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AgentIdentity, IdentityRegistry, KillSwitch } from '@microsoft/agent-governance-sdk'
import { type AgtClientError, type Attachment, type AttachOptions, attach } from '../../clients/agt/index.ts'
import { path, principal, register } from '../e2e/agents.ts'
import { at, listAt, textAt } from '../e2e/json.ts'
import { clientEntry, type Daemon, people, startWorld, tokenOf, type World } from '../e2e/world.ts'

/** A bridge on a local tenant, and in this process a new agent of the real SDK that is registered at it. */
export interface Rig extends AsyncDisposable {
  readonly world: World
  readonly daemon: Daemon
  readonly did: string
  /** The agent's account in the directory. */
  readonly account: string
  readonly identity: AgentIdentity
  readonly registry: IdentityRegistry
  readonly killSwitch: KillSwitch
  readonly errors: AgtClientError[]
  /** Attached with the rig's parts, written over by those given; stopped with the rig at the latest. */
  attach(options?: Partial<AttachOptions>): Attachment
  /** Registers another agent, with an account of its own. */
  register(did: string): Promise<void>
  /** The holds of the agent, as the bridge has them; none when it does not know the DID. */
  holds(did?: string): Promise<readonly unknown[]>
  folder(): string
}

export interface Bridge extends AsyncDisposable {
  readonly world: World
  readonly daemon: Daemon
}

/** With clients of the role runtime besides the one there is. */
export const startBridge = async (others: readonly string[] = [], policy: object = {}): Promise<Bridge> => {
  await using stack = new AsyncDisposableStack()
  const runtimes = others.map((name) => clientEntry(name, ['runtime']))
  const clients = [...Object.entries(people).map(([name, role]) => clientEntry(name, role)), ...runtimes]
  const auth = { killBudget: { max: 1000 }, clients }
  const world = stack.use(await startWorld({ policy: { resume: 'automatic', ...policy }, auth }))
  const daemon = stack.use(await world.daemon())
  const held = stack.move()
  return { world, daemon, [Symbol.asyncDispose]: () => held.disposeAsync() }
}

/** On a bridge that several tests share: each has an agent of its own. */
export const startRig = async ({ world, daemon }: Bridge): Promise<Rig> => {
  await using stack = new AsyncDisposableStack()
  const identity = AgentIdentity.generate('scout', ['read:*'])
  const { did } = identity
  const { tenant, contoso } = world
  const enrol = async (of: string) => {
    const id = tenant.addAgentIdentity({ displayName: of, blueprintAppId: contoso.blueprint.appId })
    tenant.settle()
    await register(daemon.as('registrar'), { did: of, name: 'scout', principals: [principal(id)] })
    return id
  }
  const account = await enrol(did)
  const registry = new IdentityRegistry()
  registry.register(identity)
  const killSwitch = new KillSwitch()
  const errors: AgtClientError[] = []
  const held = stack.move()
  return {
    world,
    daemon,
    did,
    account,
    identity,
    registry,
    killSwitch,
    errors,
    attach: (options = {}) => {
      const common = { url: daemon.origin, token: tokenOf('runtime'), killSwitch, registry, recordTimeoutMs: 20_000 }
      return held.use(attach({ ...common, onError: (error) => errors.push(error), ...options }))
    },
    register: async (of) => {
      await enrol(of)
    },
    holds: async (of = did) => {
      const answer = await daemon.as('alice').get(path(of, '/holds'))
      return answer.status === 404 ? [] : listAt(answer.body, 'items')
    },
    folder: () => {
      const folder = mkdtempSync(join(tmpdir(), 'idp-bridge-agt-'))
      held.defer(() => rmSync(folder, { recursive: true, force: true }))
      return folder
    },
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  }
}

export interface PlacedHold {
  readonly id: string
  release(): Promise<void>
}

/** A hold that Alice places and may lift alone. */
export const placeSuspension = async ({ daemon, did }: Rig, of = did): Promise<PlacedHold> => {
  const placed = await daemon.as('alice').post(path(of, '/holds'), { severity: 'suspend', reason: 'case 4711' })
  if (placed.status !== 201) throw new Error(placed.text)
  const id = textAt(placed.body, 'id')
  return {
    id,
    release: async () => {
      const done = await daemon.as('alice').post(path(of, `/holds/${id}/release`), { reason: 'closed' })
      if (done.status !== 200) throw new Error(done.text)
    },
  }
}

/** Two people lift a kill. */
export const liftKill = async ({ daemon, did }: Rig, holdId: string): Promise<void> => {
  const asked = await daemon.as('alice').post(path(did, `/holds/${holdId}/release`), { reason: 'false alarm' })
  if (asked.status !== 202) throw new Error(asked.text)
  const done = await daemon.as('bob').post(`/v1/releases/${textAt(asked.body, 'releaseId')}/approve`, {})
  if (done.status !== 200) throw new Error(done.text)
}

/** How the leg of the runtime stands in the receipt of a hold. */
export const runtimeLeg = async ({ daemon, did }: Rig, holdId: string): Promise<unknown> => {
  const { body } = await daemon.as('alice').get(path(did, `/receipts/${holdId}`))
  return listAt(body, 'legs').find((leg) => at(leg, 'type') === 'runtime')
}

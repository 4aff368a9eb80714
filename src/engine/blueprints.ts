import {
  type Blueprint,
  blueprintName,
  blueprintSource,
  definitionOf,
  lacksSponsor,
  sameDefinition,
} from '../core/blueprints.ts'
import { parseCapability } from '../core/capabilities.ts'
import { mostHops } from '../core/delegation.ts'
import { BridgeError } from '../core/errors.ts'
import type { StoreReads } from '../core/store.ts'
import type { Agent } from '../core/types.ts'
import type { AgentView, Caller } from './agentapi.ts'
import type { BlueprintInput, Blueprints, BlueprintView } from './blueprintapi.ts'
import { blueprintOf } from './carrying.ts'
import { type Change, change } from './change.ts'
import type { Deps } from './deps.ts'
import { acceptPolicy, knownPolicy, presentPolicy, requirePolicy } from './policies.ts'
import { define, undefine } from './regranting.ts'
import type { Issue } from './validating.ts'

const listed = 20

const unknown = async (reads: StoreReads, name: string): Promise<BridgeError> => {
  const names = (await reads.blueprints('', listed + 1)).map((one) => one.name)
  const shown = names.slice(0, listed).join(', ')
  const hint =
    names.length === 0
      ? 'Define it first, in the configuration or with PUT /v1/blueprints/{name}.'
      : `Defined: ${shown}${names.length > listed ? ' and more, see GET /v1/blueprints' : ''}.`
  return new BridgeError('E_BLUEPRINT_UNKNOWN', `There is no blueprint ${JSON.stringify(name)}.`, { hint })
}

type Carrier = Pick<Agent, 'blueprint' | 'sponsor'>

/**
 * What a registration or change must heed of its blueprint. One that an agent carries already may be gone: it stays.
 * @throws BridgeError E_BLUEPRINT_UNKNOWN, E_SPONSOR
 */
export const heedBlueprint = async (
  reads: StoreReads,
  next: Carrier,
  before: Carrier | undefined,
): Promise<Blueprint | undefined> => {
  const { blueprint: name } = next
  if (name === undefined) return undefined
  const blueprint = await reads.blueprint(name)
  if (blueprint === undefined) {
    if (before?.blueprint === name) return undefined
    throw await unknown(reads, name)
  }
  if (lacksSponsor(blueprint, next, before)) {
    throw new BridgeError('E_SPONSOR', `The blueprint ${name} asks for a sponsor, and none is given.`, {
      hint: 'Give sponsor with email or objectId.',
    })
  }
  return blueprint
}

/**
 * The same before anything is read of the accounts, and that the access policy of a blueprint it did not carry yet exists.
 * @throws BridgeError E_BLUEPRINT_UNKNOWN, E_SPONSOR, E_ACCESS_POLICY
 */
export const vetBlueprint = async (deps: Deps, next: Carrier, before?: Carrier): Promise<void> => {
  const blueprint = await heedBlueprint(deps.store, next, before)
  if (blueprint?.accessPolicy === undefined || before?.blueprint === next.blueprint) return
  await requirePolicy(deps, blueprint.accessPolicy)
}

/** What the agent has from the blueprint it carried gives way to what it has from the one it carries now. */
export const grantBlueprint = async (c: Change, next: Agent, before: Agent | undefined): Promise<void> => {
  const blueprint = await heedBlueprint(c.tx, next, before)
  if (before !== undefined && before.blueprint === next.blueprint) return
  if (before?.blueprint !== undefined) await c.tx.grantFrom(blueprintSource(before.blueprint), [next.did], [], c.now)
  if (blueprint === undefined) return
  await c.tx.grantFrom(blueprintSource(blueprint.name), [next.did], blueprint.capabilities, c.now)
}

/** What `validate` reads anew, at most so often. */
const freshMs = 10_000

/** What is wrong with the blueprint of an agent. */
export const blueprintIssues = async (deps: Deps, agent: AgentView): Promise<Issue[]> => {
  if (agent.blueprint === undefined) return []
  const blueprint = await blueprintOf(deps.store, agent)
  if (blueprint === undefined) {
    const text = `The blueprint ${agent.blueprint} is not defined any more: it grants nothing and asks for nothing.`
    return [{ code: 'V_BLUEPRINT', text, mend: 'Define it again, or PATCH blueprint.' }]
  }
  const { accessPolicy } = blueprint
  if (accessPolicy === undefined) return []
  const { state, text, mend } = await presentPolicy(deps, accessPolicy, freshMs)
  const issue = (code: string): Issue[] => [{ code, text, ...(mend !== undefined && { mend }) }]
  if (state === 'absent') return issue('V_ACCESS_POLICY')
  if (state === 'unenforced') return issue('V_ACCESS_POLICY_OFF')
  return state === 'unread' ? issue('V_ACCESS_POLICY_UNREAD') : []
}

const definitionFrom = (input: BlueprintInput) =>
  definitionOf({
    description: input.description ?? undefined,
    capabilities: (input.capabilities ?? []).map(parseCapability),
    requireSponsor: input.requireSponsor ?? false,
    maxDelegationDepth: input.maxDelegationDepth ?? undefined,
    accessPolicy: input.accessPolicy ?? undefined,
  })

const checkName = (name: string): void => {
  if (blueprintName.test(name)) return
  throw new BridgeError('E_VALIDATION', 'This is not a name for a blueprint.', {
    hint: 'Use up to 200 visible characters, white space only between them.',
  })
}

const checkDepth = (depth: number | undefined): void => {
  if (depth === undefined || (Number.isInteger(depth) && depth >= 0 && depth <= mostHops)) return
  throw new BridgeError('E_VALIDATION', `maxDelegationDepth is not one of 0 to ${mostHops}.`, {
    hint: 'Leave it away for no limit of its own.',
  })
}

const checkRevision = (blueprint: Blueprint | undefined, ifRevision: number | undefined): void => {
  if (ifRevision === undefined || ifRevision === blueprint?.revision) return
  const now = blueprint === undefined ? 'not defined' : `at revision ${blueprint.revision}`
  throw new BridgeError('E_REVISION', `The blueprint is ${now}, not at ${ifRevision}.`, {
    hint: 'Read it again and repeat the change.',
  })
}

const configured = (name: string): BridgeError =>
  new BridgeError('E_BLUEPRINT_CONFIG', `The blueprint ${name} is defined by the configuration.`, {
    hint: 'Change it under blueprints in the configuration, or remove it there first.',
  })

const absent = (name: string): BridgeError =>
  new BridgeError('E_NOT_FOUND', `There is no blueprint ${JSON.stringify(name)}.`, {
    hint: 'Names are compared byte by byte; GET /v1/blueprints lists them.',
  })

const who = (caller: Caller) => ({ actor: caller.name, requestId: caller.requestId })

export const createBlueprints = (deps: Deps): Blueprints => {
  const view = async (reads: StoreReads, blueprint: Blueprint): Promise<BlueprintView> => ({
    ...blueprint,
    policy: blueprint.accessPolicy && knownPolicy(deps, blueprint.accessPolicy),
    applied: !(await reads.regrants()).some(({ name }) => name === blueprint.name),
  })

  return {
    blueprint: async (name) => {
      const found = await deps.store.blueprint(name)
      if (found === undefined) throw absent(name)
      return view(deps.store, found)
    },
    blueprints: async ({ cursor = '', limit }) => {
      const found = await deps.store.blueprints(cursor, limit + 1)
      const items: BlueprintView[] = []
      for (const one of found.slice(0, limit)) items.push(await view(deps.store, one))
      return { items, nextCursor: found.length > limit ? (items.at(-1)?.name ?? null) : null }
    },
    defineBlueprint: async (name, input, caller, ifRevision) => {
      checkName(name)
      const definition = definitionFrom(input)
      checkDepth(definition.maxDelegationDepth)
      if ((await deps.store.blueprint(name))?.origin === 'config') throw configured(name)
      if (definition.accessPolicy !== undefined) await acceptPolicy(deps, definition.accessPolicy)
      return change(deps, who(caller), async (c) => {
        const before = await c.tx.blueprint(name)
        if (before?.origin === 'config') throw configured(name)
        checkRevision(before, ifRevision)
        if (before !== undefined && sameDefinition(before, definition)) {
          return { blueprint: await view(c.tx, before), created: false }
        }
        const { createdAt = c.now, revision = 0 } = before ?? {}
        const next = {
          ...definition,
          name,
          origin: 'api',
          createdAt,
          updatedAt: c.now,
          revision: revision + 1,
        } as const
        await define(c, next, before)
        return { blueprint: await view(c.tx, next), created: before === undefined }
      })
    },
    removeBlueprint: (name, caller, ifRevision) =>
      change(deps, who(caller), async (c) => {
        const before = await c.tx.blueprint(name)
        if (before === undefined) throw absent(name)
        if (before.origin === 'config') throw configured(name)
        checkRevision(before, ifRevision)
        if (await c.tx.isCarried(name)) {
          throw new BridgeError('E_BLUEPRINT_USED', `Agents carry the blueprint ${name}.`, {
            hint: 'Find them with GET /v1/agents?blueprint=…, and PATCH their blueprint first.',
          })
        }
        await undefine(c, before)
        return view(c.tx, before)
      }),
  }
}

import type { Blueprint } from '../../src/core/blueprints.ts'
import { BridgeError } from '../../src/core/errors.ts'
import type { Caller } from '../../src/engine/agentapi.ts'
import type { Blueprints, BlueprintView } from '../../src/engine/blueprintapi.ts'

/** Blueprints in memory: `configured` is one of the configuration, `lasting` is there whatever is done to it. */
export const createBlueprintDouble = (start: number, seen: (caller: Caller) => void): Blueprints => {
  const kept = new Map<string, Blueprint>()
  const view = (blueprint: Blueprint): BlueprintView => ({
    ...blueprint,
    policy: blueprint.accessPolicy && { state: 'enforced', text: '', mend: undefined, checkedAt: start },
    applied: true,
  })
  const lasting: Blueprint = {
    name: 'lasting',
    origin: 'api',
    description: undefined,
    capabilities: [],
    requireSponsor: false,
    maxDelegationDepth: undefined,
    accessPolicy: undefined,
    createdAt: start,
    updatedAt: start,
    revision: 1,
  }
  const found = (name: string): Blueprint => {
    const blueprint = kept.get(name) ?? (name === lasting.name ? lasting : undefined)
    if (blueprint === undefined) throw new BridgeError('E_NOT_FOUND', 'There is no such blueprint.')
    return blueprint
  }
  const check = (name: string, ifRevision: number | undefined) => {
    if (name === 'configured') throw new BridgeError('E_BLUEPRINT_CONFIG', 'It is one of the configuration.')
    if (ifRevision === undefined || kept.get(name)?.revision === ifRevision) return
    throw new BridgeError('E_REVISION', 'The blueprint was changed.')
  }
  return {
    blueprint: async (name) => view(found(name)),
    blueprints: async ({ cursor = '', limit }) => {
      const names = [...kept.keys()].sort().filter((name) => name > cursor)
      const items = names.slice(0, limit).map((name) => view(found(name)))
      return { items, nextCursor: names.length > limit ? (items.at(-1)?.name ?? null) : null }
    },
    defineBlueprint: async (name, input, caller, ifRevision) => {
      seen(caller)
      check(name, ifRevision)
      const before = kept.get(name)
      const blueprint: Blueprint = {
        ...lasting,
        name,
        description: input.description ?? undefined,
        capabilities: input.capabilities ?? [],
        requireSponsor: input.requireSponsor ?? false,
        maxDelegationDepth: input.maxDelegationDepth ?? undefined,
        accessPolicy: input.accessPolicy ?? undefined,
        revision: (before?.revision ?? 0) + 1,
      }
      kept.set(name, blueprint)
      return { blueprint: view(blueprint), created: before === undefined }
    },
    removeBlueprint: async (name, caller, ifRevision) => {
      seen(caller)
      check(name, ifRevision)
      const blueprint = found(name)
      kept.delete(name)
      return view(blueprint)
    },
  }
}

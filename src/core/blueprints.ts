import type { Agent, Did, Sponsor } from './types.ts'

/** A policy of a directory on who may sign in, by its id there. */
export interface AccessPolicyRef {
  readonly adapter: string
  readonly id: string
}

/** What a blueprint says of the agents that carry it. */
export interface Definition {
  readonly description: string | undefined
  /** Granted to each of them as long as it carries the blueprint, besides what it has of its own. */
  readonly capabilities: readonly string[]
  readonly requireSponsor: boolean
  /** Hops that may be delegated below an agent of it; undefined: it sets no limit. */
  readonly maxDelegationDepth: number | undefined
  readonly accessPolicy: AccessPolicyRef | undefined
}

/** `config`: from the file, and in force whatever else has the name. `api`: put there by a registrar. */
export type BlueprintOrigin = 'config' | 'api'

export interface Blueprint extends Definition {
  readonly name: string
  readonly origin: BlueprintOrigin
  readonly createdAt: number
  readonly updatedAt: number
  readonly revision: number
}

/** The capabilities of a blueprint changed, and the agents after this DID (in byte order) are still to get them. */
export interface Regrant {
  readonly name: string
  readonly after: Did
}

export interface BlueprintReads {
  /** The one in force under this name. */
  blueprint(name: string): Promise<Blueprint | undefined>
  /** Those in force after this name, in byte order. */
  blueprints(after: string, limit: number): Promise<Blueprint[]>
  /** In force or not, in byte order. */
  blueprintsFrom(origin: BlueprintOrigin): Promise<Blueprint[]>
  /** Agents that carry it after this DID, in byte order; decommissioned ones too. */
  carriers(name: string, after: Did, limit: number): Promise<Did[]>
  /** Whether any agent that is not decommissioned carries it. */
  isCarried(name: string): Promise<boolean>
  /** Those of the DIDs that lack one of the capabilities from this source, or have another one from it. */
  misgranted(dids: readonly Did[], source: string, capabilities: readonly string[]): Promise<Did[]>
  regrants(): Promise<Regrant[]>
}

export interface BlueprintWrites {
  /** In place of the one of the same name and origin. */
  putBlueprint(blueprint: Blueprint): Promise<void>
  dropBlueprint(name: string, origin: BlueprintOrigin): Promise<void>
  /** What these DIDs have from this source become these capabilities; one they have already stays as it was confirmed. */
  grantFrom(source: string, dids: readonly Did[], capabilities: readonly string[], at: number): Promise<void>
  /** In place of one of the same name. */
  putRegrant(regrant: Regrant): Promise<void>
  dropRegrant(name: string): Promise<void>
}

/** Up to 200 characters; white space only within, nothing that cannot be seen. */
export const blueprintName = /^(?=.{1,200}$)[^\s\p{C}]([^\p{C}]*[^\s\p{C}])?$/u

export const blueprintSource = (name: string): string => `blueprint:${name}`

/** Capabilities are a set. */
export const definitionOf = (given: Definition): Definition => ({
  description: given.description,
  capabilities: [...new Set(given.capabilities)].sort(),
  requireSponsor: given.requireSponsor,
  maxDelegationDepth: given.maxDelegationDepth,
  accessPolicy: given.accessPolicy && { adapter: given.accessPolicy.adapter, id: given.accessPolicy.id },
})

export const sameDefinition = (a: Definition, b: Definition): boolean =>
  JSON.stringify(definitionOf(a)) === JSON.stringify(definitionOf(b))

/** A sponsor that can be found by neither address nor object id is none. */
export const isSponsor = (sponsor: Sponsor | undefined): boolean =>
  sponsor?.email !== undefined || sponsor?.objectId !== undefined

type Carrier = Pick<Agent, 'blueprint' | 'sponsor'>

/**
 * Whether this registration lacks the sponsor that its blueprint asks for. An agent that has none since before the
 * blueprint asked for one may go on being changed: only giving it the blueprint, or taking the sponsor away, is refused.
 */
export const lacksSponsor = (definition: Definition, next: Carrier, before: Carrier | undefined): boolean =>
  definition.requireSponsor &&
  !isSponsor(next.sponsor) &&
  (before === undefined || before.blueprint !== next.blueprint || isSponsor(before.sponsor))

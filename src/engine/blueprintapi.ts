import type { Blueprint, Definition } from '../core/blueprints.ts'
import type { Caller } from './agentapi.ts'

/** Blueprints as callers give and see them. */

export type BlueprintInput = { readonly [K in keyof Definition]?: Definition[K] | null | undefined }

/**
 * What was last seen of an access policy. `unenforced`: it exists and stops nobody. `unread`: it could not be read, which
 * says nothing of whether it exists. `unchecked`: not read since the daemon began.
 */
export type PolicyState = 'enforced' | 'unenforced' | 'absent' | 'unread' | 'unchecked'

export interface PolicyView {
  readonly state: PolicyState
  /** One sentence for people, and what mends it. */
  readonly text: string
  readonly mend: string | undefined
  readonly checkedAt: number | undefined
}

export interface BlueprintView extends Blueprint {
  readonly policy: PolicyView | undefined
  /** Every agent that carries it has its present capabilities. */
  readonly applied: boolean
}

export interface Blueprints {
  blueprint(name: string): Promise<BlueprintView>
  blueprints(filter: { cursor?: string | undefined; limit: number }): Promise<{
    items: BlueprintView[]
    nextCursor: string | null
  }>
  /** Puts it in place of what has the name. The same again changes nothing. */
  defineBlueprint(
    name: string,
    input: BlueprintInput,
    caller: Caller,
    ifRevision: number | undefined,
  ): Promise<{ blueprint: BlueprintView; created: boolean }>
  /** As it was last. Refused while an agent carries it. */
  removeBlueprint(name: string, caller: Caller, ifRevision: number | undefined): Promise<BlueprintView>
}

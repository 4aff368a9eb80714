import { randomUUID } from 'node:crypto'
import { parseQuery } from './odata.ts'
import { permissions } from './permissions.ts'
import { type Answer, badRequest, type Call, noSegment, ok, Refusal } from './wire.ts'
import type { World } from './world.ts'

export const policyStates = ['enabled', 'disabled', 'enabledForReportingButNotEnforced'] as const
export type PolicyState = (typeof policyStates)[number]

export interface NewPolicy {
  readonly id?: string
  readonly displayName: string
  /** `enabled` when left out. */
  readonly state?: PolicyState
}

interface Policy {
  readonly id: string
  readonly displayName: string
  state: PolicyState
  readonly createdDateTime: string
  modifiedDateTime: string | null
}

/** Conditional Access policies: only what tells one from another and whether it is on. */
export class Policies {
  readonly #now: () => number
  readonly #byId = new Map<string, Policy>()

  constructor(now: () => number) {
    this.#now = now
  }

  add({ id = randomUUID(), displayName, state = 'enabled' }: NewPolicy): string {
    const key = id.toLowerCase()
    const createdDateTime = new Date(this.#now()).toISOString()
    this.#byId.set(key, { id: key, displayName, state, createdDateTime, modifiedDateTime: null })
    return key
  }

  setState(id: string, state: PolicyState): void {
    const policy = this.#byId.get(id.toLowerCase())
    if (policy === undefined) throw new Error(`there is no policy ${id}`)
    policy.state = state
    policy.modifiedDateTime = new Date(this.#now()).toISOString()
  }

  remove(id: string): void {
    if (!this.#byId.delete(id.toLowerCase())) throw new Error(`there is no policy ${id}`)
  }

  get(id: string): Policy | undefined {
    return this.#byId.get(id.toLowerCase())
  }

  get all(): readonly Policy[] {
    return [...this.#byId.values()]
  }
}

const guid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

const whole = (policy: Policy): Readonly<Record<string, unknown>> => ({
  id: policy.id,
  templateId: null,
  displayName: policy.displayName,
  createdDateTime: policy.createdDateTime,
  modifiedDateTime: policy.modifiedDateTime,
  state: policy.state,
  sessionControls: null,
  conditions: { clientAppTypes: ['all'], applications: { includeApplications: ['All'] }, users: { includeUsers: [] } },
  grantControls: { operator: 'OR', builtInControls: ['block'] },
})

const properties = new Set(
  Object.keys(whole({ id: '', displayName: '', state: 'enabled', createdDateTime: '', modifiedDateTime: null })),
)

/** `GET /identity/conditionalAccess/policies` and one of them. This service words its refusals in its own way. */
export function readPolicies(world: World, call: Call): Answer {
  const [, service, collection, id, ...more] = call.segments
  if (service !== 'conditionalAccess' || collection !== 'policies') throw noSegment(collection ?? service)
  if (more.length > 0) throw noSegment(more[0])
  if (!permissions.conditionalAccess.some((role) => call.caller.roles.has(role))) {
    const message = 'You cannot perform the requested operation, required scopes are missing in the token.'
    throw new Refusal(403, 'AccessDenied', message)
  }
  const { select } = parseQuery(call, ['$select'])
  for (const name of select ?? []) {
    if (properties.has(name)) continue
    throw badRequest(`Could not find a property named '${name}' on type 'microsoft.graph.conditionalAccessPolicy'.`)
  }
  const shown = (policy: Policy) =>
    Object.fromEntries(Object.entries(whole(policy)).filter(([name]) => select?.includes(name) ?? true))
  const context = `${world.origin}/v1.0/$metadata#identity/conditionalAccess/policies`
  if (id === undefined) return ok({ '@odata.context': context, value: world.policies.all.map(shown) })
  if (!guid.test(id)) throw new Refusal(400, 'BadRequest', 'The policy id is not a GUID.')
  const policy = world.policies.get(id)
  if (policy === undefined) throw new Refusal(404, 'NotFound', 'The policy was not found.')
  return ok({ '@odata.context': `${context}/$entity`, ...shown(policy) })
}

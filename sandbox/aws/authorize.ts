import { refusalOf } from './errors.ts'
import { sessionArn } from './ids.ts'
import type { Credential, Identity, Role } from './model.ts'
import type { Call } from './operation.ts'
import { type Context, judge, type PolicyDocument, parsePolicy, type Verdict } from './policy.ts'
import { iso, isQuery } from './wire.ts'
import type { World } from './world.ts'

export interface Resource {
  readonly arn: string
  /** Further condition keys, in lower case. */
  readonly keys?: Readonly<Record<string, readonly string[]>>
  /** Another name of the action than that of the call. */
  readonly action?: string
}

/** Throws unless the policies of the caller allow the call, as they have propagated so far. */
export function authorize(world: World, call: Call, { action: other, arn, keys = {} }: Resource): void {
  const action = other ?? `${call.service}:${call.action}`
  const verdict = verdictOn(world, call.caller, { action, arn, keys })
  if (verdict === 'allow') return
  const why =
    verdict === 'deny'
      ? 'with an explicit deny in an identity-based policy'
      : `because no identity-based policy allows the ${action} action`
  const who = arnOf(call.caller.identity)
  const message = `User: ${who} is not authorized to perform: ${action} on resource: ${arn} ${why}`
  throw refusalOf('denied', isQuery(call.service), message)
}

export function verdictOn(
  world: World,
  caller: Credential,
  { action, arn, keys = {} }: Required<Pick<Resource, 'arn'>> & { action: string; keys?: Resource['keys'] },
): Verdict {
  const context = contextOf(caller, keys)
  const question = { action, resource: arn, context }
  const { identity } = caller
  if (identity.type === 'user') return judge(documents(world.iamUsers.get(identity.id)?.policies ?? []), question)
  // Gone, or made anew under the same name: what its sessions could do is gone with it.
  const role = world.roles.seen(identity.role.id)
  if (role === undefined) return 'silent'
  const bounded = role.boundary === undefined ? 'allow' : judge(managedDocuments(world, [role.boundary]), question)
  const own = judge(documentsOf(world, role), question)
  if (own === 'deny' || bounded === 'deny') return 'deny'
  return own === 'allow' && bounded === 'allow' ? 'allow' : 'silent'
}

function contextOf({ identity, issuedAt, token }: Credential, keys: Resource['keys']): Context {
  const context = new Map<string, readonly string[]>(Object.entries(keys ?? {}))
  context.set('aws:principalarn', [principalArn(identity)])
  context.set('aws:principalaccount', [identity.accountId])
  if (token !== undefined) context.set('aws:tokenissuetime', [iso(issuedAt)])
  return context
}

/** What a role may do, its boundary aside. */
export function documentsOf(world: World, role: Role): PolicyDocument[] {
  return [...documents([...role.inline.values()]), ...managedDocuments(world, role.attached)]
}

export function managedDocuments(world: World, arns: readonly string[]): PolicyDocument[] {
  return documents(arns.map((arn) => world.managed.get(arn) ?? ''))
}

/** A document of no meaning permits nothing. */
function documents(texts: readonly string[]): PolicyDocument[] {
  return texts.flatMap((text) => {
    const parsed = parsePolicy(text, 'identity')
    return typeof parsed === 'string' ? [] : [parsed]
  })
}

/** As answers and the trail name the caller. */
export function arnOf(identity: Identity): string {
  return identity.type === 'user'
    ? `arn:aws:iam::${identity.accountId}:user/${identity.name}`
    : sessionArn(identity.accountId, identity.role.name, identity.session)
}

/** As policies name it: a session by its role. */
export function principalArn(identity: Identity): string {
  return identity.type === 'user' ? arnOf(identity) : identity.role.arn
}

/** The part of the id before the colon is the role's or the user's own. */
export function userIdOf(identity: Identity): string {
  return identity.type === 'user' ? identity.id : `${identity.role.id}:${identity.session}`
}

import { z } from 'zod'
import { Refusal, refusalOf } from './errors.ts'
import type { Role } from './model.ts'
import { type Call, type Operation, operation } from './operation.ts'
import { pageOf } from './paging.ts'
import { noPolicy, noRole, roleNamed } from './roles.ts'
import { isoSeconds, type Output } from './wire.ts'
import type { World } from './world.ts'

/** Reads of IAM. Documents come back percent-encoded, and lists leave out what the real ones leave out. */

const name = z.string().regex(/^[\w+=,.@-]{1,64}$/)
const policyName = z.string().regex(/^[\w+=,.@-]{1,128}$/)
const number = z.string().regex(/^\d+$/).transform(Number).pipe(z.int().min(1).max(1000))
const paging = { Marker: z.string().min(1).max(320).exactOptional(), MaxItems: number.default(100) }
const entities = ['User', 'Role', 'Group', 'LocalManagedPolicy', 'AWSManagedPolicy'] as const

/** `iam:…` on a role is permitted by its ARN, or by the pattern of it where the role does not exist. */
export function onRole(world: World, call: Call, { RoleName }: { readonly RoleName: string }) {
  const role = roleNamed(world, call.accountId, RoleName, { seen: false })
  const arn = role?.arn ?? `arn:aws:iam::${call.accountId}:role/${RoleName}`
  const tags = Object.fromEntries(
    (role?.tags ?? []).map(({ Key, Value }) => [`aws:resourcetag/${Key.toLowerCase()}`, [Value]]),
  )
  return { arn, keys: tags }
}

const roleInput = z.object({ RoleName: name })
const policyInput = z.object({ RoleName: name, PolicyName: policyName })

export const iamReads: Readonly<Record<string, Operation>> = {
  GetRole: operation({
    input: roleInput,
    readOnly: true,
    on: onRole,
    run: (world, call, input) => {
      const role = seen(world, call, input)
      return { Role: { ...shown(role), ...details(role), Description: role.description, RoleLastUsed: {} } }
    },
  }),
  ListRoles: operation({
    input: z.object({ PathPrefix: z.string().startsWith('/').max(512).default('/'), ...paging }),
    readOnly: true,
    on: (_world, { accountId }, { PathPrefix }) => ({ arn: `arn:aws:iam::${accountId}:role${PathPrefix}` }),
    run: (world, call, { Marker, MaxItems, PathPrefix }) => {
      const rows = rolesOf(world, call).filter(({ value }) => value.path.startsWith(PathPrefix))
      const page = paged(world, call, rows, { Marker, MaxItems })
      // Neither tags nor boundary nor last use: "does not return" (ListRoles).
      return {
        ...page.about,
        Roles: page.rows.map(({ value }) => ({ ...shown(value), Description: value.description })),
      }
    },
  }),
  GetRolePolicy: operation({
    input: policyInput,
    readOnly: true,
    on: onRole,
    run: (world, call, { PolicyName, RoleName }) => {
      const document = seen(world, call, { RoleName }).inline.get(PolicyName)
      if (document === undefined) throw noPolicy(PolicyName)
      return { RoleName, PolicyName, PolicyDocument: encodeURIComponent(document) }
    },
  }),
  ListRolePolicies: operation({
    input: z.object({ RoleName: name, ...paging }),
    readOnly: true,
    on: onRole,
    run: (world, call, input) => {
      const rows = [...seen(world, call, input).inline.keys()].map((policy, ordinal) => ({ policy, ordinal }))
      const page = paged(world, call, rows, input)
      return { ...page.about, PolicyNames: page.rows.map(({ policy }) => policy) }
    },
  }),
  ListAttachedRolePolicies: operation({
    input: z.object({ RoleName: name, ...paging }),
    readOnly: true,
    on: onRole,
    run: (world, call, input) => {
      const rows = seen(world, call, input).attached.map((arn, ordinal) => ({ arn, ordinal }))
      const page = paged(world, call, rows, input)
      return { ...page.about, AttachedPolicies: page.rows.map(({ arn }) => attached(arn)) }
    },
  }),
  ListRoleTags: operation({
    input: z.object({ RoleName: name, ...paging }),
    readOnly: true,
    on: onRole,
    run: (world, call, input) => {
      const tags = seen(world, call, input).tags.toSorted((a, b) => (a.Key < b.Key ? -1 : 1))
      const page = paged(
        world,
        call,
        tags.map((tag, ordinal) => ({ tag, ordinal })),
        input,
      )
      return { ...page.about, Tags: page.rows.map(({ tag }) => tag) }
    },
  }),
  GetAccountAuthorizationDetails: operation({
    input: z.object({ Filter: z.array(z.enum(entities)).default([...entities]), ...paging }),
    readOnly: true,
    on: () => ({ arn: '*' }),
    run: (world, call, { Filter, Marker, MaxItems }) => {
      const page = paged(world, call, Filter.includes('Role') ? rolesOf(world, call) : [], { Marker, MaxItems })
      return {
        ...page.about,
        UserDetailList: [],
        GroupDetailList: [],
        RoleDetailList: page.rows.map(({ value }) => detailed(value)),
        Policies: [],
      }
    },
  }),
  GetPolicy: operation({
    input: z.object({ PolicyArn: z.string().min(20) }),
    readOnly: true,
    on: (_world, _call, { PolicyArn }) => ({ arn: PolicyArn }),
    run: (world, _call, { PolicyArn }) => {
      if (!world.managed.has(PolicyArn)) throw noManaged(PolicyArn)
      const [, path = '', name = ''] = /:policy(\/(?:.*\/)?)([^/]+)$/.exec(PolicyArn) ?? []
      const Policy = { PolicyName: name, Arn: PolicyArn, Path: path, DefaultVersionId: 'v1', IsAttachable: true }
      return { Policy }
    },
  }),
  GetPolicyVersion: operation({
    input: z.object({ PolicyArn: z.string().min(20), VersionId: z.string() }),
    readOnly: true,
    on: (_world, _call, { PolicyArn }) => ({ arn: PolicyArn }),
    run: (world, _call, { PolicyArn, VersionId }) => {
      const document = world.managed.get(PolicyArn)
      if (document === undefined || VersionId !== 'v1') throw noManaged(PolicyArn)
      return { PolicyVersion: { Document: encodeURIComponent(document), VersionId, IsDefaultVersion: true } }
    },
  }),
  GetOutboundWebIdentityFederationInfo: operation({
    input: z.object({}),
    readOnly: true,
    on: () => ({ arn: '*' }),
    run: (world, { accountId }) => ({
      IssuerIdentifier: world.federation.enabledIssuer(accountId),
      JwtVendingEnabled: true,
    }),
  }),
}

function noManaged(arn: string): Refusal {
  return new Refusal('NoSuchEntity', `Policy ${arn} was not found.`, 404)
}

function seen(world: World, { accountId }: Call, { RoleName }: { readonly RoleName: string }): Role {
  const role = roleNamed(world, accountId, RoleName)
  if (role === undefined) throw noRole(RoleName)
  return role
}

function rolesOf(world: World, { accountId }: Call) {
  return world.roles.list().filter(({ value }) => value.accountId === accountId)
}

function paged<T extends { readonly ordinal: number }>(
  world: World,
  call: Call,
  rows: readonly T[],
  { Marker, MaxItems }: { readonly Marker?: string | undefined; readonly MaxItems: number },
) {
  const list = `${call.accountId} ${call.action} ${call.params.RoleName ?? ''} ${call.params.PathPrefix ?? ''}`
  const page = pageOf(world, list, rows, { size: MaxItems, token: Marker })
  if (page === undefined) throw refusalOf('invalid', true, 'Invalid Marker.')
  return { rows: page.rows, about: { IsTruncated: page.next !== undefined, Marker: page.next } }
}

function shown(role: Role): Output {
  return {
    Path: role.path,
    RoleName: role.name,
    RoleId: role.id,
    Arn: role.arn,
    CreateDate: isoSeconds(role.created),
    AssumeRolePolicyDocument: encodeURIComponent(role.trust),
    MaxSessionDuration: role.maxSessionSeconds,
  }
}

function details({ boundary, tags }: Role): Output {
  return {
    ...(boundary !== undefined && {
      PermissionsBoundary: { PermissionsBoundaryType: 'PermissionsBoundaryPolicy', PermissionsBoundaryArn: boundary },
    }),
    ...(tags.length > 0 && { Tags: tags }),
  }
}

function detailed(role: Role): Output {
  const { MaxSessionDuration: _left, ...rest } = shown(role)
  return {
    ...rest,
    InstanceProfileList: [],
    RolePolicyList: [...role.inline].map(([PolicyName, document]) => ({
      PolicyName,
      PolicyDocument: encodeURIComponent(document),
    })),
    AttachedManagedPolicies: role.attached.map(attached),
    ...details(role),
    RoleLastUsed: {},
  }
}

function attached(arn: string): Output {
  return { PolicyName: arn.slice(arn.lastIndexOf('/') + 1), PolicyArn: arn }
}

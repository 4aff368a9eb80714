import type { Alteration } from '../faults.ts'
import { isQuery, type Output, type Service } from './wire.ts'
import type { World } from './world.ts'

/** The list in the answer of each action that has pages. */
const lists: Readonly<Record<string, string>> = {
  'iam:ListRoles': 'Roles',
  'iam:GetAccountAuthorizationDetails': 'RoleDetailList',
  'identitystore:ListUsers': 'Users',
  'identitystore:ListGroups': 'Groups',
  'identitystore:ListGroupMemberships': 'GroupMemberships',
  'identitystore:ListGroupMembershipsForMember': 'GroupMemberships',
  'cloudtrail:LookupEvents': 'Events',
}

let repeats = 0

/** A list that misleads with a success: see `Alteration`. Answers that are none are left as they are. */
export function misled(
  world: World,
  { action, service }: { service: Service; action: string },
  how: Exclude<Alteration['altered'], 'stale'>,
  { output, token }: { output: Output | undefined; token: string | undefined },
): Output | undefined {
  const name = lists[`${service}:${action}`]
  if (name === undefined || output === undefined) return output
  if (how === 'empty') return { ...output, [name]: [], ...cursor(service, undefined) }
  // Nothing names the first page: its successor's place is where it would be repeated from.
  const next = how === 'looping' ? (token ?? given(output, service)) : again(world, token)
  return next === undefined ? output : { ...output, ...cursor(service, next) }
}

function cursor(service: Service, next: string | undefined): Output {
  return isQuery(service) ? { IsTruncated: next !== undefined, Marker: next } : { NextToken: next }
}

function given(output: Output, service: Service): string | undefined {
  const next = output[isQuery(service) ? 'Marker' : 'NextToken']
  return typeof next === 'string' ? next : undefined
}

/** The same page under another cursor, so that it is no loop. */
function again(world: World, token: string | undefined): string | undefined {
  const opened = token === undefined ? undefined : world.opaque.open(token)
  if (typeof opened !== 'object' || opened === null) return undefined
  repeats += 1
  return world.opaque.seal({ ...opened, repeat: repeats })
}

import type { Purpose } from './errors.ts'

/** Everything the adapter asks of AWS, with the action that a policy must allow for it. */
export const purposes = {
  listRoles: { what: 'listing roles', action: 'iam:GetAccountAuthorizationDetails' },
  readRole: { what: 'reading a role', action: 'iam:GetRole' },
  listPolicies: { what: 'listing the inline policies of a role', action: 'iam:ListRolePolicies' },
  listAttached: { what: 'listing the attached policies of a role', action: 'iam:ListAttachedRolePolicies' },
  readPolicy: { what: 'reading an inline policy of a role', action: 'iam:GetRolePolicy' },
  putPolicy: { what: 'suspending a role', action: 'iam:PutRolePolicy' },
  revokeSessions: { what: 'revoking the sessions of a role', action: 'iam:PutRolePolicy' },
  deletePolicy: { what: 'lifting the suspension of a role', action: 'iam:DeleteRolePolicy' },
  attachPolicy: { what: 'suspending a role by a managed policy', action: 'iam:AttachRolePolicy' },
  detachPolicy: { what: 'lifting the suspension of a role by a managed policy', action: 'iam:DetachRolePolicy' },
  readManaged: { what: 'reading the managed policy', action: 'iam:GetPolicy' },
  readVersion: { what: 'reading the document of the managed policy', action: 'iam:GetPolicyVersion' },
  readTrail: { what: 'reading the event history', action: 'cloudtrail:LookupEvents' },
  listUsers: { what: 'listing users', action: 'identitystore:ListUsers' },
  readUser: { what: 'reading a user', action: 'identitystore:DescribeUser' },
  readGroups: { what: 'reading group members', action: 'identitystore:ListGroupMemberships' },
  switchUser: { what: 'switching a user over SCIM', action: 'the access token of automatic provisioning' },
  receive: { what: 'receiving from the queue', action: 'sqs:ReceiveMessage' },
  taken: { what: 'deleting from the queue', action: 'sqs:DeleteMessage' },
  readQueue: { what: 'reading the queue', action: 'sqs:GetQueueAttributes' },
} as const satisfies Record<string, Purpose>

/** Documents of the bridge: what it writes, and what a person grants it. */

/** The inline policy by which the bridge suspends a role. */
export const suspension = {
  name: 'AgentMeshSuspended',
  document: {
    Version: '2012-10-17',
    Statement: [{ Sid: 'AgentMeshSuspended', Effect: 'Deny', Action: '*', Resource: '*' }],
  },
}

/** What the console writes when somebody revokes the sessions of a role. */
export const revocation = (at: number) => ({
  name: 'AWSRevokeOlderSessions',
  document: {
    Version: '2012-10-17',
    Statement: [
      {
        Effect: 'Deny',
        Action: ['*'],
        Resource: ['*'],
        Condition: { DateLessThan: { 'aws:TokenIssueTime': new Date(at).toISOString() } },
      },
    ],
  },
})

/** Lets events of a rule into a queue. */
export const queuePolicy = (queueArn: string, ruleArn: string) => ({
  Version: '2012-10-17',
  Statement: [
    {
      Effect: 'Allow',
      Principal: { Service: 'events.amazonaws.com' },
      Action: 'sqs:SendMessage',
      Resource: queueArn,
      Condition: { ArnEquals: { 'aws:SourceArn': ruleArn } },
    },
  ],
})

/** Changes of roles. */
export const rolePattern = {
  source: ['aws.iam'],
  'detail-type': ['AWS API Call via CloudTrail'],
  detail: {
    eventSource: ['iam.amazonaws.com'],
    eventName: [
      'PutRolePolicy',
      'DeleteRolePolicy',
      'AttachRolePolicy',
      'DetachRolePolicy',
      'UpdateAssumeRolePolicy',
      'PutRolePermissionsBoundary',
      'DeleteRolePermissionsBoundary',
      'TagRole',
      'UntagRole',
      'CreateRole',
      'DeleteRole',
    ],
  },
}

/** Changes of users and memberships of Identity Center, by whichever of its four interfaces. */
export const userPattern = {
  'detail-type': ['AWS API Call via CloudTrail'],
  detail: {
    eventSource: ['sso-directory.amazonaws.com', 'identitystore.amazonaws.com', 'identitystore-scim.amazonaws.com'],
    eventName: [
      'DisableUser',
      'EnableUser',
      'DeleteUser',
      'UpdateUser',
      'PatchUser',
      'PutUser',
      'AddMemberToGroup',
      'RemoveMemberFromGroup',
      'CreateGroupMembership',
      'DeleteGroupMembership',
      'PatchGroup',
    ],
  },
}

/** Path and name of the managed policy that is attached where a role has no room for another inline one. */
export const denyAllPolicy = 'agentmesh/AgentMeshDenyAll'

const roleActions = [
  'iam:GetRole',
  'iam:ListRolePolicies',
  'iam:ListAttachedRolePolicies',
  'iam:GetRolePolicy',
  'iam:PutRolePolicy',
  'iam:DeleteRolePolicy',
]

/** What every account allows the bridge, on roles below one path. */
const roleStatements = (accountId: string) => [
  {
    Sid: 'Roles',
    Effect: 'Allow',
    Action: roleActions,
    Resource: `arn:aws:iam::${accountId}:role/agents/*`,
  },
  {
    Sid: 'FullRoles',
    Effect: 'Allow',
    Action: ['iam:AttachRolePolicy', 'iam:DetachRolePolicy'],
    Resource: `arn:aws:iam::${accountId}:role/agents/*`,
    Condition: { ArnEquals: { 'iam:PolicyARN': `arn:aws:iam::${accountId}:policy/${denyAllPolicy}` } },
  },
  {
    Sid: 'DenyAllPolicy',
    Effect: 'Allow',
    Action: ['iam:GetPolicy', 'iam:GetPolicyVersion'],
    Resource: `arn:aws:iam::${accountId}:policy/${denyAllPolicy}`,
  },
  {
    Sid: 'Lists',
    Effect: 'Allow',
    Action: ['iam:GetAccountAuthorizationDetails', 'cloudtrail:LookupEvents'],
    Resource: '*',
  },
]

/** The least that the bridge needs: in the account of its own key, and in an account where it assumes a role. */
export const bridgePolicies = {
  main: {
    Version: '2012-10-17',
    Statement: [
      ...roleStatements('111122223333'),
      {
        Sid: 'Users',
        Effect: 'Allow',
        Action: ['identitystore:ListUsers', 'identitystore:DescribeUser', 'identitystore:ListGroupMemberships'],
        Resource: '*',
      },
      {
        Sid: 'Queue',
        Effect: 'Allow',
        Action: ['sqs:ReceiveMessage', 'sqs:DeleteMessage', 'sqs:GetQueueAttributes'],
        Resource: 'arn:aws:sqs:us-east-1:111122223333:agentmesh-iam',
      },
      {
        Sid: 'OtherAccounts',
        Effect: 'Allow',
        Action: 'sts:AssumeRole',
        Resource: 'arn:aws:iam::444455556666:role/agentmesh-idp-bridge',
      },
    ],
  },
  other: { Version: '2012-10-17', Statement: roleStatements('444455556666') },
}

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
export const managedPolicy = '/AgentMeshSuspended'

const switches = ['iam:PutRolePolicy', 'iam:DeleteRolePolicy']
const attachments = ['iam:AttachRolePolicy', 'iam:DetachRolePolicy']

/** The documents of docs/adapters/aws.md, word by word: the least that the bridge needs. */
export const documents = {
  /** In each account with roles. */
  account: (accountId: string) => {
    const iam = `arn:aws:iam::${accountId}`
    const policy = `${iam}:policy${managedPolicy}`
    return {
      Version: '2012-10-17',
      Statement: [
        {
          Sid: 'ListAndAttribute',
          Effect: 'Allow',
          Action: ['iam:GetAccountAuthorizationDetails', 'cloudtrail:LookupEvents'],
          Resource: '*',
        },
        {
          Sid: 'ReadRoles',
          Effect: 'Allow',
          Action: ['iam:GetRole', 'iam:GetRolePolicy', 'iam:ListRolePolicies', 'iam:ListAttachedRolePolicies'],
          Resource: `${iam}:role/*`,
        },
        { Sid: 'SwitchAgents', Effect: 'Allow', Action: switches, Resource: `${iam}:role/agents/*` },
        {
          Sid: 'WhereInlineSpaceIsFull',
          Effect: 'Allow',
          Action: attachments,
          Resource: `${iam}:role/agents/*`,
          Condition: { ArnEquals: { 'iam:PolicyARN': policy } },
        },
        {
          Sid: 'ReadTheManagedPolicy',
          Effect: 'Allow',
          Action: ['iam:GetPolicy', 'iam:GetPolicyVersion'],
          Resource: policy,
        },
        {
          Sid: 'NeverItself',
          Effect: 'Deny',
          Action: [...switches, ...attachments],
          Resource: `${iam}:role/idp-bridge`,
        },
      ],
    }
  },
  identityCenter: {
    Version: '2012-10-17',
    Statement: [
      {
        Sid: 'ReadUsersAndGroups',
        Effect: 'Allow',
        Action: ['identitystore:ListUsers', 'identitystore:DescribeUser', 'identitystore:ListGroupMemberships'],
        Resource: '*',
      },
      { Sid: 'Attribute', Effect: 'Allow', Action: 'cloudtrail:LookupEvents', Resource: '*' },
    ],
  },
  queue: {
    Version: '2012-10-17',
    Statement: [
      {
        Sid: 'TakeEvents',
        Effect: 'Allow',
        Action: ['sqs:ReceiveMessage', 'sqs:DeleteMessage', 'sqs:GetQueueAttributes'],
        Resource: 'arn:aws:sqs:us-east-1:111122223333:agentmesh-iam',
      },
    ],
  },
  /** For the credential itself, where it assumes a role of another account. */
  assume: {
    Version: '2012-10-17',
    Statement: [
      {
        Sid: 'OtherAccounts',
        Effect: 'Allow',
        Action: 'sts:AssumeRole',
        Resource: 'arn:aws:iam::444455556666:role/idp-bridge',
      },
    ],
  },
  managed: suspension.document,
}

/** All of them for the bridge's own account. */
export const bridgePolicies = [
  documents.account('111122223333'),
  documents.identityCenter,
  documents.queue,
  documents.assume,
]

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

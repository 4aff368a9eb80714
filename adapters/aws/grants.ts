import type { Self } from './account.ts'

/** The command that gives the bridge these actions. A service control policy may deny them all the same. */
export function grant(self: Self | undefined, actions: readonly string[], resource: string): string {
  const Statement = [{ Effect: 'Allow', Action: actions, Resource: resource }]
  const document = JSON.stringify({ Version: '2012-10-17', Statement })
  const [, kind, name] = /:(user|assumed-role|role)\/(?:.*\/)?([^/]+)$/.exec(bare(self?.arn)) ?? []
  const put = kind === 'user' ? `put-user-policy --user-name ${name}` : `put-role-policy --role-name ${name ?? ROLE}`
  const policy = `bridge-${actions.join('-').replaceAll(':', '-')}`
  const command = `aws iam ${put} --policy-name ${policy} --policy-document '${document}'`
  return `allow ${actions.join(' and ')}: ${command} (a service control policy may deny it too)`
}

const ROLE = '<role of the bridge>'

/** Without the session of an assumed role. */
const bare = (arn = ''): string => (arn.includes(':assumed-role/') ? arn.slice(0, arn.lastIndexOf('/')) : arn)

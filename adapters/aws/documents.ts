import { z } from 'zod'

/** Policy documents, as far as they suspend a role (IAM policy grammar, read 2026-11). */

const strings = z.union([z.string(), z.array(z.string())]).transform((value) => [value].flat())
const statement = z.object({
  Sid: z.string().optional().catch(undefined),
  Effect: z.enum(['Allow', 'Deny']),
  Principal: z.unknown().optional(),
  Action: strings.optional(),
  Resource: strings.optional(),
  Condition: z.record(z.string(), z.record(z.string(), z.unknown())).optional(),
})
type Statement = z.output<typeof statement>
const document = z.object({
  Statement: z.union([statement, z.array(statement)]).transform((value) => [value].flat()),
})

const trusted = z.object({ Service: strings })

const MARKER = 'AgentMeshSuspended'

/** Unconditional: an explicit deny beats every allow, of resource policies too, for sessions that exist and for new ones. */
export const denyAll: string = JSON.stringify({
  Version: '2012-10-17',
  Statement: [{ Sid: MARKER, Effect: 'Deny', Action: '*', Resource: '*' }],
})

export const REVOKE_POLICY = 'AWSRevokeOlderSessions'

/** What the console writes to revoke sessions: those issued before `at` can do nothing any more. */
export const revokeBefore = (at: number): string =>
  JSON.stringify({
    Version: '2012-10-17',
    Statement: [
      {
        Effect: 'Deny',
        Action: ['*'],
        Resource: ['*'],
        Condition: { DateLessThan: { 'aws:TokenIssueTime': new Date(at).toISOString() } },
      },
    ],
  })

/** IAM gives documents URL-encoded; undefined when it is none that anyone documented. */
function parsed(encoded: string | undefined): readonly Statement[] | undefined {
  try {
    const result = document.safeParse(JSON.parse(decodeURIComponent(encoded ?? '')))
    return result.success ? result.data.Statement : undefined
  } catch {
    return undefined
  }
}

const unconditional = ({ Condition }: Statement) => Condition === undefined || Object.keys(Condition).length === 0
/** `**` and `*:*` say the same as `*`. */
const everything = (list: readonly string[] | undefined) => list?.some((each) => /^\*+(:\*+)?$/.test(each)) === true

/** Whether a document denies everything to everyone who has it. 'unknown': it cannot be read as a policy. */
export function deniesAll(encoded: string | undefined): boolean | 'unknown' {
  const statements = parsed(encoded)
  if (statements === undefined) return 'unknown'
  return statements.some(
    (each) => each.Effect === 'Deny' && everything(each.Action) && everything(each.Resource) && unconditional(each),
  )
}

/** Until when (ms) sessions are revoked by a document such as `AWSRevokeOlderSessions`; undefined: it revokes none. */
export function revokedBefore(encoded: string | undefined): number | undefined {
  for (const each of parsed(encoded) ?? []) {
    if (each.Effect !== 'Deny' || !everything(each.Action) || !everything(each.Resource)) continue
    const [operator, ...more] = Object.entries(each.Condition ?? {})
    const [key, ...keys] = Object.entries(operator?.[1] ?? {})
    if (operator?.[0] !== 'DateLessThan' || more.length > 0 || keys.length > 0) continue
    const at = key?.[0].toLowerCase() === 'aws:tokenissuetime' ? Date.parse(String([key[1]].flat()[0])) : Number.NaN
    if (!Number.isNaN(at)) return at
  }
  return undefined
}

/** The services of AWS that a trust policy lets assume the role. */
export function servicesOf(encoded: string | undefined): string[] {
  return (parsed(encoded) ?? []).flatMap(({ Effect, Principal }) => {
    const named = trusted.safeParse(Principal)
    return Effect === 'Allow' && named.success ? named.data.Service : []
  })
}

/** Whether a document revokes sessions and says nothing else. */
export const onlyRevokes = (encoded: string | undefined): boolean =>
  parsed(encoded)?.length === 1 && revokedBefore(encoded) !== undefined

const assuming = (list: readonly string[] | undefined) =>
  list?.some((each) => /^(\*+|sts:(\*+|AssumeRole\*?))$/i.test(each)) === true
const everyone = (principal: unknown): boolean => {
  if (principal === '*') return true
  const aws = z.object({ AWS: strings }).safeParse(principal)
  return aws.success && aws.data.AWS.includes('*')
}

/** Whether a trust policy lets nobody assume its role: it allows nothing, or denies it to everyone. */
export function trustsNobody(encoded: string | undefined): boolean | 'unknown' {
  const statements = parsed(encoded)
  if (statements === undefined) return 'unknown'
  const denied = statements.some(
    (each) => each.Effect === 'Deny' && everyone(each.Principal) && assuming(each.Action) && unconditional(each),
  )
  return denied || !statements.some(({ Effect }) => Effect === 'Allow')
}

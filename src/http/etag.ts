import type { FastifyReply } from 'fastify'
import { z } from 'zod'
import { invalid } from './validation.ts'

/** Revisions as `ETag` and `If-Match` (RFC 9110 §13.1.1). */

export const ifMatch = z
  .object({ 'if-match': z.string().max(64).optional().describe('The ETag of the revision you read, or *') })
  .describe('Preconditions')

/** The revision an `If-Match` asks for; undefined when there is none, or `*`. */
export const revisionOf = (header: string | undefined): number | undefined => {
  if (header === undefined || header.trim() === '*') return undefined
  const revision = /^"(\d{1,15})"$/.exec(header.trim())?.[1]
  if (revision !== undefined) return Number(revision)
  const hint = 'Send the ETag as it was answered, e.g. If-Match: "3".'
  throw invalid('header', [{ pointer: '/if-match', code: 'invalid_format' }], hint)
}

/**
 * The same for a PUT, which may create: `*` is false, and the method not performed, when there is nothing yet. `present`
 * reads what is there, and throws when nothing is.
 */
export const replacedRevision = async (
  header: string | undefined,
  present: () => Promise<unknown>,
): Promise<number | undefined> => {
  const revision = revisionOf(header)
  if (header !== undefined && revision === undefined) await present()
  return revision
}

export const tagged = <T extends { readonly revision: number }>(reply: FastifyReply, body: T): T => {
  reply.header('etag', `"${body.revision}"`)
  return body
}

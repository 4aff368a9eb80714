import { type IncomingMessage, STATUS_CODES } from 'node:http'
import { finished } from 'node:stream'
import { TLSSocket } from 'node:tls'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { BridgeError, type ErrorCode, type ErrorOptions, errorTable } from '../core/errors.ts'
import { titles } from './titles.ts'

export const problemType = 'application/problem+json'

const pointers = z.array(z.object({ pointer: z.string(), code: z.string() }))

/** RFC 9457. `type` is stable and can be opened; `detail`, `hint` and `errors` are about this occurrence. */
export const problemSchema = z
  .object({
    type: z.string().describe('Stable; open it for a short explanation'),
    title: z.string(),
    status: z.int(),
    code: z.string().describe('Stable; for programs'),
    detail: z.string(),
    hint: z.string().nullable().describe('What to do next'),
    requestId: z.string(),
    errors: pointers.describe('The members at fault, by JSON Pointer (RFC 6901)'),
    error: z.string().optional().describe('On endpoints of OAuth: the code of RFC 6749 section 5.2'),
    error_description: z.string().optional().describe('With error: as detail'),
  })
  .meta({
    id: 'Problem',
    description: 'A problem document (RFC 9457)',
    examples: [
      {
        type: '/errors/E_VALIDATION',
        title: titles.E_VALIDATION,
        status: 400,
        code: 'E_VALIDATION',
        detail: 'The body is not valid: /name is required.',
        hint: null,
        requestId: 'a2b7c1f0-6f0e-4a7b-9a53-0d4d2a3a1c11',
        errors: [{ pointer: '/name', code: 'required' }],
      },
    ],
  })

export type Problem = z.output<typeof problemSchema>

/** What Fastify itself throws, as ours. Anything not listed is a bug. */
const framework: Readonly<Record<string, readonly [ErrorCode, string, ErrorOptions?]>> = {
  FST_ERR_CTP_INVALID_JSON_BODY: ['E_JSON', 'The body is not valid JSON.'],
  FST_ERR_CTP_EMPTY_JSON_BODY: ['E_JSON', 'The body is empty.'],
  FST_ERR_CTP_BODY_TOO_LARGE: ['E_TOO_LARGE', 'The body is larger than 1.25 MiB.'],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: [
    'E_MEDIA_TYPE',
    'The body is of a content type that is not supported here.',
    { hint: 'Send Content-Type: application/json.' },
  ],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: ['E_VALIDATION', 'The body is not as long as Content-Length says.'],
  FST_ERR_BAD_URL: ['E_VALIDATION', 'The path is not valid percent-encoded UTF-8.'],
  FST_ERR_MAX_PARAM_LENGTH: ['E_VALIDATION', 'A part of the path is too long.'],
}

const bug = (cause: unknown): BridgeError =>
  new BridgeError('E_BUG', 'The request met a fault of the bridge; it was logged under this request id.', {
    cause,
    hint: 'Report it with the request id.',
  })

/** Any thrown value as the error whose problem document may be shown. */
export const failure = (error: unknown): BridgeError => {
  if (error instanceof BridgeError) return error.code === 'E_BUG' ? bug(error) : error
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  const known = framework[code]
  if (known === undefined) return bug(error)
  const [ours, message, options] = known
  return new BridgeError(ours, message, { ...options, cause: error })
}

export const problemOf = (error: BridgeError, requestId: string): Problem => {
  const errors = pointers.safeParse(error.details)
  return {
    type: `/errors/${error.code}`,
    title: titles[error.code],
    status: error.status,
    code: error.code,
    detail: error.message,
    hint: error.hint ?? null,
    requestId,
    errors: errors.success ? errors.data : [],
  }
}

const DRAIN_MS = 2_000

/**
 * The rest of a body nobody wants, read and dropped for a while: closing under a client that is still sending resets the
 * connection, and the reset can overtake the answer (RFC 9112 section 9.6).
 */
const drained = (raw: IncomingMessage): Promise<void> =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, DRAIN_MS)
    finished(raw, () => {
      clearTimeout(timer)
      resolve()
    })
    raw.resume()
  })

/** Answers a failure, once the client had time to send the body that nobody reads any more. */
export const answerProblem = async (
  thrown: FastifyError | Error,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> => {
  // Fastify closes the connection under a body that is too large.
  reply.removeHeader('connection')
  if (!request.raw.complete) await drained(request.raw)
  sendProblem(thrown, request, reply)
  return reply
}

/** Answers a failure. Logs those that somebody else than the caller must mend. */
export const sendProblem = (thrown: FastifyError | Error, request: FastifyRequest, reply: FastifyReply): void => {
  const error = failure(thrown)
  if (error.code === 'E_BUG') request.log.error({ err: error.cause }, 'unexpected failure')
  else if (error.status >= 500) request.log.warn({ err: error }, 'request failed')
  // A certificate is shown once, when a connection begins: another one takes another connection.
  const isShown = request.raw.socket instanceof TLSSocket && request.headers.authorization === undefined
  if (error.code === 'E_UNAUTHENTICATED' && isShown) reply.header('connection', 'close')
  if (error.code === 'E_HOOK_UNVERIFIED') reply.header('www-authenticate', 'Bearer')
  if (error.retryAfterMs !== undefined) reply.header('retry-after', Math.max(1, Math.ceil(error.retryAfterMs / 1000)))
  const oauth = request.routeOptions.config.oauth === true
  const body = JSON.stringify({ ...problemOf(error, request.id), ...(oauth && oauthError(error)) })
  reply.code(error.status).header('content-type', problemType).serializer(String).send(body)
}

/** RFC 6749 section 5.2, for clients of OAuth that read nothing else. */
const oauthError = ({ status, code, message }: BridgeError): { error: string; error_description: string } => {
  const error =
    code === 'E_UNAUTHENTICATED'
      ? 'invalid_client'
      : code === 'E_FORBIDDEN'
        ? 'unauthorized_client'
        : status < 500
          ? 'invalid_request'
          : 'temporarily_unavailable'
  return { error, error_description: message.replaceAll(/["\\]|[^\x20-\x7e]/g, "'") }
}

const isCode = (text: string): text is ErrorCode => Object.hasOwn(errorTable, text)

/** The text behind a problem's `type`, or undefined for a code that does not exist. */
export const explain = (code: string): string | undefined => {
  if (!isCode(code)) return undefined
  const { status, act, retry } = errorTable[code]
  const who = { caller: 'the caller', operator: 'an operator of the bridge', developer: 'the developers' }[act]
  const again = retry ? 'may succeed later' : 'will fail again until something is changed'
  return [
    `${code}: ${titles[code]}.`,
    '',
    `HTTP status: ${status} ${STATUS_CODES[status] ?? ''}`,
    `To be mended by: ${who}`,
    `The same request ${again}.`,
    '',
  ].join('\n')
}

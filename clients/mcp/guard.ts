import type { ServerResponse } from 'node:http'
import { isMembers } from '../agt/frames.ts'
import { createAsk, nothing, type Verdict } from './asking.ts'
import type { Asked, Caller, Party } from './caller.ts'
import { type Answered, refuse, refuseCredential, refusePlainly } from './challenge.ts'
import { credentialOf, takeCredential } from './credential.ts'
import { McpGuardError } from './errors.ts'
import { filterTools } from './listing.ts'
import { isSmall, type Message, readBody, type ToolCall } from './messages.ts'
import { type Metadata, metadataOf } from './metadata.ts'
import { type McpGuardOptions, settingsOf } from './options.ts'
import { kinds, type Refusal, unsure } from './refusal.ts'
import type { AuthInfoLike, FastifyReplyLike, FastifyRequestLike, Next, RequestLike, ServerLike } from './sdk.ts'
import { createSessions } from './sessions.ts'
import { createStreams } from './streams.ts'

export interface McpGuard extends Disposable {
  /** The RFC 9728 document: where it is, and middleware that serves it. */
  readonly metadata: Metadata
  /** Connect and Express middleware for every request to the server: passes on those that may go on, with `req.auth` and `req.body`. */
  readonly protect: (request: RequestLike, response: ServerResponse, next: Next) => void
  /** The same as a `preHandler` hook of Fastify; `auth` is then on `request.raw`. */
  readonly preHandler: (request: FastifyRequestLike, reply: FastifyReplyLike) => Promise<unknown>
  /** The same for plain `node:http`: true when the request may go on, false when it was answered. */
  admit(request: RequestLike, response: ServerResponse): Promise<boolean>
  /** Who called, by the `authInfo` that a tool is given; undefined of one that is not from this guard. */
  caller(authInfo: unknown): Caller | undefined
  /** From its next connection on, `tools/list` of the server shows only tools that the agent may call. */
  filterTools(server: ServerLike): void
  /** Ends the asking for open streams. They stay open, so end them first. */
  close(): void
}

interface Known {
  readonly token: string
  readonly caller: Caller
}

interface Judged extends Message {
  readonly verdict: Verdict | undefined
}

interface Passed {
  readonly token: string
  readonly party: Party
  readonly auth: AuthInfoLike
}

const methods = ['GET', 'POST', 'DELETE']
/** What carries no message, or is none for a tool: whether the agent may act at all is asked. */
const plain: readonly Message[] = [{ id: undefined, call: undefined }]

const worstOf = (refusals: readonly Refusal[]): Refusal | undefined =>
  refusals.toSorted((a, b) => kinds.indexOf(a.kind) - kinds.indexOf(b.kind))[0]

const isRefused = (judged: Passed | Answered): judged is Answered => 'status' in judged

const write = (response: ServerResponse, { status, headers, body }: Answered): void => {
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
  response.statusCode = status
  response.end(body)
}

/**
 * Guards an MCP server: every request needs a token that was issued for this server, of an agent that may act now; every
 * call of a tool is asked about by itself, at that moment. It judges what is on the wire, so it does not matter which SDK
 * serves it, or when a session was begun.
 *
 * @throws McpGuardError E_OPTIONS
 */
export const createMcpGuard = (options: McpGuardOptions): McpGuard => {
  const settings = settingsOf(options)
  const { resource, scopes, contact, server, report } = settings
  const metadata = metadataOf(resource, settings.document)
  const parts = { metadataUrl: metadata.url, scopes, contact }
  const ask = createAsk(settings)
  const sessions = createSessions()
  const streams = createStreams(settings.recheckMs, async (token) => (await ask(token)).refusal === undefined)
  const known = new WeakMap<object, Known>()

  const questionOf = async (call: ToolCall): Promise<Asked> => {
    const usual = { tool: call.tool, server }
    const small = isSmall(call.arguments) ? { ...usual, parameters: call.arguments } : usual
    const asked: unknown = await settings.question(call, small)
    // Spread, what is no object is a question about nothing but the token.
    if (!isMembers(asked)) throw new TypeError('a question is an object')
    return asked
  }

  const askAbout = async (token: string, call: ToolCall): Promise<Verdict> => {
    try {
      return await ask(token, await questionOf(call))
    } catch (cause) {
      report(new McpGuardError('E_QUESTION', 'No question could be made of a call.', { cause }))
      return nothing(unsure)
    }
  }

  /**
   * Of several calls each is asked about, once the token is known to be good: nobody is to cost the authority a question for
   * each of many calls without one. Each answer is about the token as well.
   */
  const judgeAll = async (token: string, messages: readonly Message[]): Promise<Judged[]> => {
    const calls = messages.filter(({ call }) => call !== undefined).length
    const general = calls === 1 ? undefined : await ask(token)
    return await Promise.all(
      messages.map(async (message, index) => {
        const { call } = message
        if (call === undefined) return { ...message, verdict: calls === 0 && index === 0 ? general : undefined }
        return { ...message, verdict: general?.refusal === undefined ? await askAbout(token, call) : general }
      }),
    )
  }

  /** Every one is tried, whatever becomes of the others. */
  const record = async (judged: readonly Judged[], allow: boolean, code?: string): Promise<boolean> => {
    const at = Date.now()
    const told = await Promise.allSettled(
      judged.map(async ({ call, verdict }) => {
        if (call === undefined || verdict === undefined) return
        const { party, answer, refusal } = verdict
        const codes = code === undefined ? (refusal?.codes ?? []) : [code]
        await settings.onCall({
          at,
          did: party?.did ?? null,
          principal: party?.principal ?? null,
          onBehalfOf: party?.onBehalfOf ?? null,
          tool: call.tool,
          allow,
          codes,
          checks: answer?.checks ?? [],
          epoch: answer?.epoch ?? null,
          generation: answer?.generation ?? null,
        })
      }),
    )
    for (const one of told) {
      if (one.status === 'fulfilled') continue
      report(new McpGuardError('E_RECORD', 'A call of a tool could not be recorded.', { cause: one.reason }))
    }
    return told.every(({ status }) => status === 'fulfilled')
  }

  const authOf = ({ did, principal, onBehalfOf }: Party, { answer }: Verdict): AuthInfoLike => ({
    // Tools are not to pass it on, and nothing else needs it.
    token: '',
    clientId: principal?.id ?? did,
    scopes: [...(answer?.token?.scopes ?? [])],
    ...(answer?.token && { expiresAt: Math.floor(Date.parse(answer.token.expiresAt) / 1000) }),
    resource: new URL(resource),
    resourceMetadataUrl: metadata.url,
    extra: { did, principal, onBehalfOf },
  })

  const judge = async (request: RequestLike): Promise<Passed | Answered> => {
    const { method = '' } = request
    if (!methods.includes(method)) return refusePlainly(405, -32000, 'Method not allowed.')
    const credential = credentialOf(request)
    if ('fault' in credential) return refuseCredential(parts, credential)
    const { token } = credential
    const body = method === 'POST' ? await readBody(request, settings.maxBodyBytes) : { messages: plain, batch: false }
    if ('fault' in body) return refusePlainly(body.status, body.rpc, body.fault, body.id)

    const judged = await judgeAll(token, body.messages)
    const verdicts = judged.map(({ verdict }) => verdict).filter((verdict) => verdict !== undefined)
    const worst = worstOf(verdicts.map(({ refusal }) => refusal).filter((refusal) => refusal !== undefined))
    if (worst !== undefined) {
      await record(judged, false)
      const messages = judged.map(({ id, verdict }) => ({ id, refusal: verdict?.refusal }))
      return refuse(parts, worst, messages, body.batch)
    }
    const [verdict] = verdicts
    const party = verdict?.party
    if (verdict === undefined || party === undefined) throw new Error('nothing was asked')
    const session = request.headers['mcp-session-id']
    if (typeof session === 'string' && !sessions.isOf(session, party)) {
      await record(judged, false, 'R_SESSION')
      return refusePlainly(404, -32001, 'Session not found', judged[0]?.id)
    }
    if (!(await record(judged, true)))
      return refusePlainly(503, -32013, 'The call could not be recorded.', judged[0]?.id)
    return { token, party, auth: authOf(party, verdict) }
  }

  const begin = (request: RequestLike, response: ServerResponse, { token, party, auth }: Passed): void => {
    const signal = streams.watch(token, response)
    const again: Caller['ask'] = async (question = {}) => settings.authority.decide({ ...question, token })
    known.set(auth, { token, caller: { ...party, ask: again, signal } })
    request.auth = auth
    takeCredential(request)
    const session = request.headers['mcp-session-id']
    if (typeof session !== 'string') return
    response.once('finish', () => {
      if (response.statusCode >= 400) return
      if (request.method === 'DELETE') sessions.forget(session)
      else sessions.bind(session, party)
    })
  }

  const failed = (cause: unknown): Answered => {
    report(new McpGuardError('E_AUTHORITY', 'A request could not be judged.', { cause }))
    return refusePlainly(503, -32013, 'The request could not be judged.')
  }

  const admit: McpGuard['admit'] = async (request, response) => {
    const judged = await judge(request).catch(failed)
    if (isRefused(judged)) write(response, judged)
    else begin(request, response, judged)
    return !isRefused(judged)
  }

  const knownOf = (authInfo: unknown): Known | undefined => (isMembers(authInfo) ? known.get(authInfo) : undefined)

  /** Arguments are not known yet, so that they would be refused does not hide a tool. */
  const isVisible = async (token: string, tool: string): Promise<boolean> => {
    const { refusal } = await askAbout(token, { tool, arguments: {} })
    return refusal === undefined || (refusal.codes.length > 0 && refusal.codes.every((code) => code === 'R_PARAMETERS'))
  }

  const visible = async (authInfo: unknown, tools: readonly unknown[]): Promise<readonly unknown[]> => {
    const token = knownOf(authInfo)?.token
    if (token === undefined) return []
    const shown = await Promise.all(
      tools.map((tool) => (isMembers(tool) && typeof tool.name === 'string' ? isVisible(token, tool.name) : false)),
    )
    return tools.filter((_, index) => shown[index] === true)
  }

  return {
    metadata,
    protect: (request, response, next) => {
      admit(request, response).then((passed) => passed && next(), next)
    },
    preHandler: async (request, reply) => {
      const raw: RequestLike = request.raw
      if (request.body !== undefined) raw.body = request.body
      const judged = await judge(raw).catch(failed)
      if (!isRefused(judged)) return begin(raw, reply.raw, judged)
      for (const [name, value] of Object.entries(judged.headers)) reply.header(name, value)
      reply.code(judged.status)
      return reply.send(judged.body)
    },
    admit,
    caller: (authInfo) => knownOf(authInfo)?.caller,
    filterTools: (of) => filterTools(of, visible),
    close: () => streams.close(),
    [Symbol.dispose]: () => streams.close(),
  }
}

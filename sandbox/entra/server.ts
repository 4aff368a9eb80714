import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { runBatch, split } from './batch.ts'
import { authenticate } from './bearer.ts'
import type { Fault } from './faults.ts'
import { faultAnswer, runCall } from './graph.ts'
import { serveImds } from './imds.ts'
import { serveLogin } from './login.ts'
import type { SeenRequest } from './requests.ts'
import { type Answer, badRequest, Refusal, refusalAnswer } from './wire.ts'
import type { World } from './world.ts'

const maxBody = 4 * 1024 * 1024

export interface Incoming {
  readonly method: string
  readonly path: string
  readonly text: string
  readonly header: (name: string) => string | undefined
}

/** Answers one request on the socket, or does to the connection what a fault asks for. */
export async function serve(
  world: World,
  control: (request: Incoming) => Promise<Answer>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const text = await readBody(request)
  if (text === undefined) {
    send(response, { status: 413, headers: { Connection: 'close' } })
    return
  }
  const header = (name: string) => {
    const value = request.headers[name]
    return Array.isArray(value) ? value.join(', ') : value
  }
  const incoming = { method: request.method ?? 'GET', path: request.url ?? '/', text, header }
  if (incoming.path.startsWith('/_sandbox/')) {
    send(response, await control(incoming))
    return
  }
  await answered(world, incoming, response)
}

async function answered(world: World, incoming: Incoming, response: ServerResponse): Promise<void> {
  const surface = surfaceOf(incoming.path)
  const { method, header } = incoming
  const path = surface === 'graph' ? incoming.path.replace(/^\/v1\.0(?=\/)/, '') : incoming.path
  const body = surface === 'graph' ? parseJson(incoming.text) : undefined
  const entry = world.requests.open({ at: world.now(), surface, method, path, body, header })
  const target = { method, path, header }
  const fault = world.faults.take(target)
  if (fault !== undefined && 'mode' in fault && fault.mode === 'wait') await fault.until
  if (fault !== undefined && 'mode' in fault && fault.mode === 'reset') {
    response.destroy()
    return
  }
  if (fault !== undefined && 'mode' in fault && fault.mode === 'hang') return
  let answer: Answer | undefined
  if (fault === undefined || !('status' in fault) || fault.applied === true) {
    answer = await dispatch(world, incoming, surface, path, body, entry)
  }
  if (fault !== undefined && 'status' in fault) {
    const login = {
      error: 'temporarily_unavailable',
      error_description: 'AADSTS90033: A transient error has occurred.',
    }
    answer = faultAnswer(world, target, surface === 'graph' ? fault : { body: login, ...fault })
  }
  if (answer !== undefined) await finish(world, entry, answer, fault, response)
}

async function finish(
  world: World,
  entry: SeenRequest,
  answer: Answer,
  fault: Fault | undefined,
  response: ServerResponse,
): Promise<void> {
  const mode = fault !== undefined && 'mode' in fault ? fault.mode : undefined
  if (mode === 'hang-after-body') return
  if (mode === 'reset-after-body') {
    response.destroy()
    return
  }
  if (mode === 'truncate') {
    const text = JSON.stringify(answer.body ?? {})
    response.writeHead(answer.status, { ...plainHeaders, ...answer.headers, 'Content-Length': Buffer.byteLength(text) })
    response.write(text.slice(0, text.length / 2), () => response.destroy())
    return
  }
  world.requests.close(entry, answer.status)
  if (mode === 'drip' && fault !== undefined && 'mode' in fault && fault.mode === 'drip') {
    response.writeHead(answer.status, { ...plainHeaders, ...answer.headers })
    for (const character of JSON.stringify(answer.body ?? {})) {
      if (response.destroyed) return
      response.write(character)
      await delay(fault.everyMs ?? 20, undefined, { ref: false })
    }
    response.end()
    return
  }
  send(response, answer)
}

function surfaceOf(path: string): SeenRequest['surface'] {
  if (path.startsWith('/metadata/identity/')) return 'imds'
  if (/^\/(v1\.0|beta)(\/|\?|$)/.test(path)) return 'graph'
  return path.includes('/oauth2/') ? 'login' : 'metadata'
}

async function dispatch(
  world: World,
  incoming: Incoming,
  surface: SeenRequest['surface'],
  path: string,
  body: unknown,
  entry: SeenRequest,
): Promise<Answer> {
  const { method, header } = incoming
  if (surface === 'graph') return graph(world, incoming, path, body, entry)
  const { segments, search } = split(path)
  if (surface === 'imds') return serveImds(world, { method, search, header })
  return serveLogin(world, { method, segments, text: incoming.text, header })
}

function graph(world: World, incoming: Incoming, path: string, body: unknown, entry: SeenRequest): Answer {
  const { method, header } = incoming
  const requestId = randomUUID()
  const clientRequestId = header('client-request-id') ?? requestId
  try {
    if (!incoming.path.startsWith('/v1.0/')) throw new Refusal(400, 'BadRequest', 'Invalid version.')
    const caller = authenticate(world, header('authorization'))
    entry.appId = caller.appId
    checkBody(incoming, body)
    const { segments, search } = split(path)
    if (segments[0] === '$batch') {
      world.throttle.refuseOrdered({ method, path, header }, caller.appId)
      if (method !== 'POST') throw new Refusal(405, 'Request_BadRequest', 'The batch endpoint takes POST only.')
      const answer = runBatch(world, body, caller, entry.seq)
      return { ...answer, headers: { 'request-id': requestId, 'client-request-id': clientRequestId } }
    }
    return runCall(world, { method, path, segments, search, header, body, caller })
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    const answer = refusalAnswer(error, { requestId, clientRequestId }, world.now())
    const ids = { 'request-id': requestId, 'client-request-id': clientRequestId }
    return { ...answer, headers: { ...ids, ...answer.headers } }
  }
}

function checkBody(incoming: Incoming, body: unknown): void {
  if (incoming.text === '') return
  const type = incoming.header('content-type')
  if (type === undefined) {
    throw new Refusal(400, 'BadRequest', 'Write requests must contain the Content-Type header declaration.')
  }
  if (!/^application\/json\b/i.test(type)) {
    throw new Refusal(415, 'UnsupportedMediaType', `The media type '${type}' is not supported.`)
  }
  if (body === undefined) throw badRequest('Unable to read JSON request payload.')
}

async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request) {
    if (!Buffer.isBuffer(chunk)) continue
    size += chunk.length
    if (size > maxBody) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

export function parseJson(text: string): unknown {
  if (text === '') return undefined
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const plainHeaders = { 'Content-Type': 'application/json; charset=utf-8' }

function send(response: ServerResponse, answer: Answer): void {
  if (answer.body === undefined) {
    response.writeHead(answer.status, { ...answer.headers })
    response.end()
    return
  }
  const text = typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body)
  response.writeHead(answer.status, {
    ...plainHeaders,
    ...answer.headers,
    'Content-Length': String(Buffer.byteLength(text)),
  })
  response.end(text)
}

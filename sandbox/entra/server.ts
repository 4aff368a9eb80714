import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Answer, deliver, type Fault, type StatusFault, staged } from '../faults.ts'
import { type Incoming, parseJson, receive } from '../incoming.ts'
import type { SeenRequest } from '../requests.ts'
import { alter } from './alter.ts'
import { batched, runBatch, split } from './batch.ts'
import { authenticate } from './bearer.ts'
import { faultAnswer, runCall } from './graph.ts'
import { serveImds } from './imds.ts'
import { serveLogin } from './login.ts'
import { badRequest, Refusal, refusalAnswer } from './wire.ts'
import type { World } from './world.ts'

/** Answers one request on the socket, or does to the connection what a fault asks for. */
export async function serve(
  world: World,
  control: (request: Incoming) => Promise<Answer>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const incoming = await receive(request)
  if (incoming === undefined) {
    await deliver(response, { status: 413, headers: { Connection: 'close' } }, undefined)
    return
  }
  if (incoming.path.startsWith('/_sandbox/')) {
    await deliver(response, await control(incoming), undefined)
    return
  }
  await answered(world, incoming, response)
}

async function answered(world: World, incoming: Incoming, response: ServerResponse): Promise<void> {
  const surface = surfaceOf(incoming.path)
  const { method, header } = incoming
  const path = surface === 'graph' ? incoming.path.replace(/^\/v1\.0(?=\/)/, '') : incoming.path
  const body = surface === 'graph' ? parseJson(incoming.text) : undefined
  const entry = world.requests.open({ at: world.steady(), surface, method, path, body, header })
  const target = { method, path, header }
  const fault = world.faults.take(target)
  if (fault !== undefined && 'mode' in fault && fault.mode === 'wait') await fault.until
  if (surface === 'graph') await shakeHands(world, incoming, path, body)
  const answer = await answerUnder(world, incoming, { surface, path, body, entry }, fault)
  if (world.switches.clockOffsetMs !== 0) response.setHeader('Date', new Date(world.now()).toUTCString())
  const slow = fault !== undefined && 'mode' in fault && fault.mode === 'drip'
  if (slow && answer !== undefined) world.requests.close(entry, answer.status)
  const whole = await deliver(response, answer, fault)
  if (whole && !slow && answer !== undefined) world.requests.close(entry, answer.status)
}

/** Endpoints are asked before the request is answered; one without a right to a subscription has none of them asked. */
async function shakeHands(world: World, { method, header }: Incoming, path: string, body: unknown): Promise<void> {
  const bodies = path.startsWith('/$batch') ? batched(body, 'POST', '/subscriptions') : [body]
  if (method !== 'POST' || !/^\/(\$batch|subscriptions)$/.test(path) || bodies.length === 0) return
  try {
    await world.subscriptions.shakeHands(bodies, authenticate(world, header('authorization')))
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
  }
}

interface Parsed {
  readonly surface: SeenRequest['surface']
  readonly path: string
  readonly body: unknown
  readonly entry: SeenRequest
}

const busyLogin = {
  error: 'temporarily_unavailable',
  error_description: 'AADSTS90033: A transient error has occurred.',
}

/** Graph answers at once, so that nothing comes between the look at a replica and its answer; the login host may not. */
function answerUnder(
  world: World,
  incoming: Incoming,
  { surface, path, body, entry }: Parsed,
  fault: Fault | undefined,
): Answer | Promise<Answer> | undefined {
  const { method, header } = incoming
  const target = { method, path, header }
  if (surface === 'graph') {
    return staged<Answer>(fault, {
      run: () => graph(world, incoming, path, body, entry),
      refused: (given) => faultAnswer(world, target, given),
      altered: (how, run) => alter(world, path, how, run),
    })
  }
  return staged<Answer | Promise<Answer>>(fault, {
    run: () => serveOther(world, incoming, surface, path),
    refused: (given: StatusFault) => faultAnswer(world, target, { body: busyLogin, ...given }),
    altered: (_how, run) => run(),
  })
}

function surfaceOf(path: string): SeenRequest['surface'] {
  if (path.startsWith('/metadata/identity/')) return 'imds'
  if (/^\/(v1\.0|beta)(\/|\?|$)/.test(path)) return 'graph'
  return path.includes('/oauth2/') ? 'login' : 'metadata'
}

function serveOther(
  world: World,
  { method, header, text }: Incoming,
  surface: SeenRequest['surface'],
  path: string,
): Answer | Promise<Answer> {
  const { segments, search } = split(path)
  if (surface === 'imds') return serveImds(world, { method, search, header })
  return serveLogin(world, { method, segments, text, header })
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

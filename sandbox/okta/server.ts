import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { type Answer, deliver, type Fault, type StatusFault, staged } from '../faults.ts'
import { type Incoming, parseJson, receive } from '../incoming.ts'
import { alter } from './alter.ts'
import { identify } from './bearer.ts'
import { codeOf, errorBody, Refusal, refusalAnswer } from './errors.ts'
import { requestId } from './ids.ts'
import { serveOAuth } from './oauth.ts'
import { run } from './routes.ts'
import { type Caller, type LinkedAnswer, split } from './wire.ts'
import type { Surface, World } from './world.ts'

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

function surfaceOf(path: string): Surface {
  // Called with an access token, as the management API is.
  if (path.startsWith('/oauth2/v1/global-token-revocation')) return 'api'
  if (path.includes('/.well-known/')) return 'metadata'
  return path.startsWith('/oauth2/') ? 'oauth' : 'api'
}

async function answered(world: World, incoming: Incoming, response: ServerResponse): Promise<void> {
  world.later.run()
  const { header, method, path } = incoming
  const surface = surfaceOf(path)
  const id = requestId()
  const body = surface === 'api' ? parseJson(incoming.text) : undefined
  // The document of an event hook has its secret in it.
  const kept = path.startsWith('/api/v1/eventHooks') ? undefined : body
  const entry = world.requests.open({ at: world.steady(), surface, method, path, body: kept, header })
  response.setHeader('X-Okta-Request-Id', id)
  const target = { method, path, header }
  const fault = world.faults.take(target)
  const asking = surface === 'api' ? await callerOf(world, incoming) : undefined
  const principal = asking !== undefined && 'caller' in asking ? asking.caller.principal : 'anyone'
  if (asking !== undefined && 'caller' in asking) entry.appId = asking.caller.actor.id
  const leave = world.limiter.enter(principal)
  try {
    if (fault !== undefined && 'mode' in fault && fault.mode === 'wait') await fault.until
    const { latencyMs } = world.switches
    if (leave !== undefined && latencyMs > 0) await delay(latencyMs, undefined, { ref: false })
    const quota = world.limiter.take(target, principal)
    const headers = leave === undefined ? world.limiter.concurrencyHeaders() : (quota?.headers ?? {})
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
    const tooMany = leave === undefined || quota?.exceeded === true
    const answer = await (tooMany
      ? refusalAnswer(new Refusal('E0000047'))
      : answerUnder(world, { ...incoming, requestId: id }, { asking, body }, fault))
    dress(world, response, answer)
    const slow = fault !== undefined && 'mode' in fault && fault.mode === 'drip'
    if (slow && answer !== undefined) world.requests.close(entry, answer.status)
    const whole = await deliver(response, answer, fault)
    if (whole && !slow && answer !== undefined) world.requests.close(entry, answer.status)
  } finally {
    leave?.()
  }
}

function dress(world: World, response: ServerResponse, answer: LinkedAnswer | undefined): void {
  response.setHeader('Date', new Date(world.now()).toUTCString())
  response.setHeader('Cache-Control', 'no-cache, no-store')
  const links = answer?.links?.map(({ rel, url }) => `<${url}>; rel="${rel}"`)
  if (links !== undefined && links.length > 0) response.setHeader('Link', links)
}

type Asking = { readonly caller: Caller } | { readonly refusal: Refusal }

async function callerOf(world: World, incoming: Incoming): Promise<Asking> {
  try {
    return { caller: await identify(world, incoming) }
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    return { refusal: error }
  }
}

interface Asked {
  readonly asking: Asking | undefined
  readonly body: unknown
}

const busy = { error: 'temporarily_unavailable', error_description: 'The authorization server is unavailable.' }

/** Calls of the API answer at once where they can, so that nothing comes between the look at a replica and its answer. */
function answerUnder(
  world: World,
  incoming: Incoming & { readonly requestId: string },
  { asking, body }: Asked,
  fault: Fault | undefined,
): LinkedAnswer | Promise<LinkedAnswer> | undefined {
  if (asking === undefined) {
    return staged<Answer | Promise<Answer>>(fault, {
      run: () => serveOAuth(world, incoming, split(incoming.path)?.segments ?? []),
      refused: (given) => faultAnswer(world, { body: busy, ...given }),
      altered: (_how, go) => go(),
    })
  }
  return staged<LinkedAnswer | Promise<LinkedAnswer>>(fault, {
    run: () => api(world, incoming, asking, body),
    refused: (given) => faultAnswer(world, given),
    altered: (how, go) => alter(world, incoming.path, how, go),
  })
}

function api(
  world: World,
  incoming: Incoming & { readonly requestId: string },
  asking: Asking,
  body: unknown,
): LinkedAnswer | Promise<LinkedAnswer> {
  try {
    if ('refusal' in asking) throw asking.refusal
    const parts = split(incoming.path)
    if (parts === undefined) throw new Refusal('E0000008')
    const answer = run(world, { ...incoming, ...parts, body, caller: asking.caller })
    return answer instanceof Promise ? answer.catch(refusedOr) : answer
  } catch (error) {
    return refusedOr(error)
  }
}

function refusedOr(error: unknown): Answer {
  if (!(error instanceof Refusal)) throw error
  return refusalAnswer(error)
}

/** The directory's own words for a status, unless the fault has others; a refusal for quota is over soon. */
function faultAnswer(world: World, { body, code, headers: given = {}, message, status }: StatusFault): Answer {
  const spent = { 'X-Rate-Limit-Remaining': '0', 'X-Rate-Limit-Reset': String(Math.ceil(world.now() / 1000) + 1) }
  const headers = status === 429 ? { ...spent, ...given } : given
  if (body !== undefined) return { status, headers, body }
  const known = codeOf(status)
  const refusal = known === undefined ? undefined : refusalAnswer(new Refusal(known))
  if (code === undefined && message === undefined && refusal !== undefined) return { ...refusal, status, headers }
  return { status, headers, body: errorBody(code ?? 'E0000009', message ?? 'Internal Server Error', []) }
}

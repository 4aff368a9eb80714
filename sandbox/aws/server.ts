import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Answer, deliver, type Fault, type StatusFault, staged } from '../faults.ts'
import { type Incoming, parseJson, receive } from '../incoming.ts'
import { misled } from './alter.ts'
import { Refusal, refusalOf } from './errors.ts'
import { uuid } from './ids.ts'
import { serveMetadata } from './metadata.ts'
import { authenticate, callerName, carryOut } from './routes.ts'
import { scimError, scimTenantOf, serveScim } from './scim.ts'
import { parseAuthorization } from './signature.ts'
import { assumeWithToken } from './sts.ts'
import { type Asked, answerOf, asked, isQuery, type Output, refusalAnswer } from './wire.ts'
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

/** A request by what part of the services it is for. */
interface Sorted {
  readonly surface: Surface
  /** Calls of a service all go to one address: the log and faults know them by `/service/Action`. */
  readonly path: string
  readonly body: unknown
  readonly asked: Asked | undefined
}

function sorted(incoming: Incoming): Sorted {
  const { header, method, path, text } = incoming
  const tenant = scimTenantOf(path)
  if (tenant !== undefined) {
    return { surface: 'scim', path: path.slice(tenant.length + 1), body: parseJson(text), asked: undefined }
  }
  const service = parseAuthorization(header('authorization') ?? '')?.service
  const call = method === 'POST' ? asked(text, { service, target: header('x-amz-target') }) : undefined
  if (call !== undefined) {
    const { WebIdentityToken: _secret, ...body } = call.params
    return { surface: call.service, path: `/${call.service}/${call.action}`, body, asked: call }
  }
  const isMetadata = path.startsWith('/latest/') || path.startsWith('/credentials/')
  // The address to confirm a subscription by has its token in it.
  if (isSns(path)) return { surface: 'sns', path: path.split('&', 1)[0] ?? '', body: undefined, asked: undefined }
  return { surface: isMetadata ? 'metadata' : 'oidc', path, body: undefined, asked: undefined }
}

function isSns(path: string): boolean {
  return path.startsWith('/SimpleNotificationService-') || path.startsWith('/?Action=ConfirmSubscription&')
}

async function answered(world: World, incoming: Incoming, response: ServerResponse): Promise<void> {
  world.later.run()
  const { header, method } = incoming
  const about = sorted(incoming)
  const { body, path, surface } = about
  const entry = world.requests.open({ at: world.steady(), surface, method, path, body, header })
  const fault = world.faults.take({ method, path, header, body })
  if (fault !== undefined && 'mode' in fault && fault.mode === 'wait') await fault.until
  const named = (name: string) => {
    entry.appId = name
  }
  const answer = await answerUnder(world, incoming, about, { fault, named })
  response.setHeader('Date', new Date(world.now()).toUTCString())
  const slow = fault !== undefined && 'mode' in fault && fault.mode === 'drip'
  if (slow && answer !== undefined) world.requests.close(entry, answer.status)
  const whole = await deliver(response, answer, fault)
  if (whole && !slow && answer !== undefined) world.requests.close(entry, answer.status)
}

interface Under {
  readonly fault: Fault | undefined
  /** Told who asks, once that is known. */
  readonly named: (caller: string) => void
}

/** Calls answer at once where they can, so that nothing comes between the look at a replica and its answer. */
function answerUnder(
  world: World,
  incoming: Incoming,
  about: Sorted,
  { fault, named }: Under,
): Answer | Promise<Answer> | undefined {
  const call = about.asked
  if (call !== undefined) {
    const api = (alter: Alter = (output) => output) => called(world, incoming, call, { named, alter })
    return staged<Answer | Promise<Answer>>(fault, {
      run: () => api(),
      refused: (given) => faultAnswer(call, given),
      altered: (how) => {
        if (how.altered === 'stale') return world.replica.behind(how.byMs, () => api())
        const { altered } = how
        const token = call.params[isQuery(call.service) ? 'Marker' : 'NextToken']
        return api((output) =>
          misled(world, call, altered, { output, token: typeof token === 'string' ? token : undefined }),
        )
      },
    })
  }
  return staged<Answer>(fault, {
    run: () => plain(world, incoming, about),
    refused: ({ body, headers = {}, status }) =>
      body === undefined && about.surface === 'scim'
        ? {
            ...scimError(status, status === 429 ? 'ThrottlingException' : 'InternalServerException', world.now()),
            headers,
          }
        : { status, headers, body: body ?? 'unavailable' },
    altered: (how, go) => (how.altered === 'stale' ? world.replica.behind(how.byMs, go) : go()),
  })
}

type Alter = (output: Output | undefined) => Output | undefined

function called(
  world: World,
  incoming: Incoming,
  about: Asked,
  { alter, named }: { alter: Alter; named: (caller: string) => void },
): Answer | Promise<Answer> {
  const requestId = uuid()
  const said = (output: Output | undefined) => answerOf(about, alter(output), requestId)
  const refused = (error: unknown): Answer => {
    if (!(error instanceof Refusal)) throw error
    return refusalAnswer(about.service, error, requestId)
  }
  try {
    const isAssumption = about.service === 'sts' && about.action.startsWith('AssumeRole')
    if (isAssumption && world.switches.tokenEndpointDown)
      throw refusalOf('unavailable', true, 'Service is unavailable.')
    if (about.service === 'sts' && about.action === 'AssumeRoleWithWebIdentity') {
      return assumeWithToken(world, about.params).then(said, refused)
    }
    const { caller, region } = authenticate(world, incoming, about)
    named(callerName(caller))
    const { accountId } = caller.identity
    const userAgent = incoming.header('user-agent') ?? ''
    const output = carryOut(world, { ...about, caller, accountId, region, requestId, userAgent })
    return output instanceof Promise ? output.then(said, refused) : said(output)
  } catch (error) {
    return refused(error)
  }
}

/** What is asked without a signature. */
function plain(world: World, incoming: Incoming, { surface }: Sorted): Answer {
  const { header, method, path, text } = incoming
  const url = new URL(path, world.origin)
  if (surface === 'scim') {
    const segments = url.pathname
      .split('/')
      .filter((part) => part !== '')
      .map(decodeURIComponent)
    if (world.throttle.isExceeded({ method, path, header }, segments[0] ?? '', scimAction(method))) {
      return scimError(429, 'ThrottlingException', world.now())
    }
    return serveScim(world, { method, segments, search: url.searchParams, text, header })
  }
  if (surface === 'metadata') {
    if (world.switches.tokenEndpointDown) return { status: 503, headers: {} }
    return serveMetadata(world, { method, path, header }) ?? nothing
  }
  if (method !== 'GET') return nothing
  if (surface === 'sns') return sns(world, url)
  return world.federation.serve(`${world.origin}${path}`) ?? nothing
}

const nothing: Answer = { status: 404, headers: { 'Content-Type': 'text/plain' }, body: 'Not Found' }
const scimAction = (method: string) => ({ service: 'scim', name: method, readOnly: method === 'GET' })

/** The certificate, and the address that a subscriber visits to confirm. */
function sns(world: World, url: URL): Answer {
  const pem = world.topics.certificateAt(url.pathname)
  if (pem !== undefined) return { status: 200, headers: { 'Content-Type': 'application/octet-stream' }, body: pem }
  if (url.pathname !== '/') return nothing
  const about: Asked = { service: 'sns', action: 'ConfirmSubscription', params: {} }
  try {
    const { searchParams: query } = url
    const arn = world.topics.confirm(query.get('TopicArn') ?? '', query.get('Token') ?? '')
    return answerOf(about, { SubscriptionArn: arn }, uuid())
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    return refusalAnswer('sns', error, uuid())
  }
}

/** The service's own words for a status, unless the fault has others. What a balancer in front of it says has none. */
function faultAnswer({ service }: Asked, { body, code, headers = {}, message, status }: StatusFault): Answer {
  if (body !== undefined) return { status, headers, body }
  const query = isQuery(service)
  const kind = status === 429 ? 'throttled' : status === 500 ? 'failed' : status === 503 ? 'unavailable' : undefined
  if (kind === undefined && code === undefined) return { status, headers, body: `<html><h1>${status}</h1></html>` }
  const own = refusalOf(kind ?? 'failed', query, message ?? (kind === 'throttled' ? 'Rate exceeded' : 'Internal error'))
  // Throttling is a client error like any other: its code says what it is.
  const shown = new Refusal(code ?? own.code, own.message, kind === 'throttled' ? own.status : status)
  const answer = refusalAnswer(service, shown, uuid())
  return { ...answer, headers: { ...answer.headers, ...headers } }
}

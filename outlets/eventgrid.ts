import { AzureKeyCredential, EventGridPublisherClient, type SendCloudEventInput } from '@azure/eventgrid'
import { clouds } from '../adapters/entra/clouds.ts'
import { type Credential, openCredential } from '../adapters/entra/credential.ts'
import { loginFetch } from '../adapters/entra/login.ts'
import { BridgeError, codeOf } from '../src/core/errors.ts'
import type { Outlet, Push, PushOutcome } from '../src/core/outlet.ts'
import { pipelineClient } from '../src/lib/fetchshapes.ts'
import type { PinnedFetch } from '../src/lib/outbound.ts'
import { identityOf, outcomeOf, unanswered } from './answers.ts'
import type { OutletDeps } from './deps.ts'
import type { EventGridConfig } from './eventgridconfig.ts'

const limits = { timeoutMs: 15_000, maxBytes: 64 * 1024 }
/** A request may have 1 MB; the envelope of each event is not counted before. */
const most = 100
const mostBytes = 900 * 1024

/** Of the events, as their subscriptions filter them. */
const typePrefix = 'agentmesh.bridge.'

const eventOf = (source: string, { id, type, did, at, data }: Push): SendCloudEventInput<unknown> => ({
  id,
  source,
  type: `${typePrefix}${type}`,
  ...(did !== undefined && { subject: did }),
  time: new Date(at),
  datacontenttype: 'application/json',
  data,
})

/** The library asks for the public cloud's scope whatever the topic's; the credential knows its own. */
const tokens = (given: Credential, signal: AbortSignal, used: (token: string) => void) => ({
  getToken: async () => {
    const token = await given.token(signal)
    used(token)
    // Kept by the credential, not by the library: its client lives for one push.
    return { token, expiresOnTimestamp: Number.MAX_SAFE_INTEGER }
  },
})

/**
 * Publishes signals as CloudEvents. Opens no connection.
 *
 * What the library would do by itself is done by the lanes of the outlet instead: it repeats nothing, for an answer tells
 * when to come back, and what it says of a failure is not kept, for that may quote the key.
 */
export const openEventGrid = (config: EventGridConfig, deps: OutletDeps): Outlet => {
  const { name, endpoint, access, types } = config
  const { outbound, clock, log, source } = deps
  const { origin, protocol } = new URL(endpoint)
  const fetch = outbound.origin([origin], limits)
  const signIn = access.auth === 'entra' ? credentialOf(access, deps) : undefined

  const send = async (events: readonly Push[], signal: AbortSignal): Promise<PushOutcome> => {
    let answered: Response | undefined
    let token: string | undefined
    const noted: PinnedFetch = Object.assign(
      async (...given: Parameters<PinnedFetch>) => {
        answered = undefined
        answered = await fetch(...given)
        return answered
      },
      { origins: fetch.origins, limits: fetch.limits },
    )
    const proof =
      signIn === undefined
        ? new AzureKeyCredential(access.auth === 'key' ? access.key.read() : '')
        : tokens(signIn, signal, (used) => {
            token = used
          })
    const client = new EventGridPublisherClient(endpoint, 'CloudEvent', proof, {
      httpClient: pipelineClient(noted, signal),
      retryOptions: { maxRetries: 0 },
      allowInsecureConnection: protocol === 'http:',
    })
    try {
      await client.send(events.map((event) => eventOf(source, event)))
    } catch (error) {
      if (signal.aborted) throw error
      if (answered === undefined) {
        const code = codeOf(cause(error))
        log.debug({ outlet: name, code }, 'a push got no answer')
        return unanswered(code)
      }
    }
    if (answered === undefined) return unanswered('E_OUTBOUND_NETWORK')
    if (answered.status === 401 && token !== undefined) signIn?.refused(token)
    return outcomeOf(answered.status, answered.headers.get('retry-after'), clock.now())
  }

  return {
    name,
    kind: 'eventGrid',
    origin,
    identity: identityOf({ kind: 'eventGrid', endpoint, types: [...types] }),
    // A topic is no runtime: that it has an event says nothing of whether anybody stopped the agent.
    client: undefined,
    types,
    giveUpAfterMs: config.giveUpAfter,
    most,
    mostBytes,
    push: send,
    close: () => signIn?.close(),
  }
}

const credentialOf = (access: Extract<EventGridConfig['access'], { auth: 'entra' }>, deps: OutletDeps): Credential => {
  const cloud = { authority: access.authority ?? clouds[access.cloud].authority, graph: access.audience }
  return openCredential({ config: access, cloud, fetch: loginFetch(access, cloud, deps), clock: deps.clock })
}

/** What of ours a failure of the library goes back to. */
const cause = (error: unknown): unknown => {
  for (let each = error, depth = 0; depth < 8; depth++) {
    if (each instanceof BridgeError) return each
    each = each instanceof Error ? each.cause : undefined
  }
  return new BridgeError('E_OUTBOUND_NETWORK', 'the topic could not be reached')
}

import type { DequeuedMessageItem } from '@azure/storage-queue'
import type { HookNews, HookQueue, QueuedNews } from '../../src/core/hookqueue.ts'
import { jsonOf } from '../deliveries.ts'
import type { AdapterDeps } from '../deps.ts'
import { type Cloud, cloudOf } from './clouds.ts'
import type { EntraConfig } from './config.ts'
import { type Credential, openCredential } from './credential.ts'
import { readEvent } from './events.ts'
import { elementsOf, judge } from './hooks.ts'
import { loginFetch } from './login.ts'
import { openQueueCalls, type QueueConfig } from './queueclient.ts'

/** The most that one request can have. */
const most = 32
/** Longer than taking in and removing a batch lasts; one that is not removed by then comes again. */
const visibilityTimeout = 60
/** A batch of the largest messages, each character of them escaped. */
const LIMITS = { timeoutMs: 20_000, maxBytes: 16 * 1024 * 1024 }

const receiving = { what: 'receiving messages' }
const removing = { what: 'removing a message' }
/** Named in the findings of a check. */
export const peeking = { what: 'reading the queue of notifications' }

export interface StorageQueue extends HookQueue {
  /** Whether the queue can be read, without taking anything. @throws BridgeError */
  check(signal: AbortSignal): Promise<void>
  close(): void
}

const isMissing = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'MessageNotFound'

/** The queue of an Event Grid subscription. Opens no connection. */
export function openQueue(config: EntraConfig, queue: QueueConfig, deps: AdapterDeps): StorageQueue {
  const { url, poll, subscriptions } = queue
  const { clock } = deps
  const signIn = signInOf(config, queue, deps)
  const fetch = deps.outbound.origin([new URL(url).origin], LIMITS)
  const { call } = openQueueCalls({ config: queue, fetch, signIn, clock })
  const allowed = (name: string | undefined) =>
    subscriptions.length === 0 || (name !== undefined && subscriptions.includes(name.toLowerCase()))

  const read = async (message: DequeuedMessageItem): Promise<QueuedNews> => ({
    id: message.messageId,
    news: await newsOf(message.messageText, config.tenantId, allowed),
    times: message.dequeueCount,
    remove: (signal) =>
      call(removing, signal, async (client) => {
        try {
          await client.deleteMessage(message.messageId, message.popReceipt)
        } catch (error) {
          if (!isMissing(error)) throw error
        }
      }),
  })

  return {
    place: url,
    pollMs: poll,
    most,
    take: async (signal) => {
      const options = { numberOfMessages: most, visibilityTimeout }
      const { receivedMessageItems } = await call(receiving, signal, (client) => client.receiveMessages(options))
      return Promise.all(receivedMessageItems.map(read))
    },
    check: async (signal) => {
      await call(peeking, signal, (client) => client.peekMessages({ numberOfMessages: 1 }))
    },
    close: () => signIn?.close(),
  }
}

function signInOf(config: EntraConfig, { access }: QueueConfig, deps: AdapterDeps): Credential | undefined {
  if (access.auth !== 'entra') return undefined
  const authority = access.authority ?? cloudOf(config).authority
  const cloud: Pick<Cloud, 'authority' | 'graph'> = { authority, graph: access.audience }
  const identity = {
    credential: access.credential ?? config.credential,
    tenantId: access.tenantId ?? config.tenantId,
  }
  return openCredential({ config: identity, cloud, fetch: loginFetch(identity, cloud, deps), clock: deps.clock })
}

/**
 * One message: an event, or a list of them, as JSON or in base64. Event Grid wrote plain JSON for years and base64 since
 * (MicrosoftDocs/azure-docs#69702 of 2021, #102923 of 2022, read 2026-11). Undefined: no event is in it.
 */
async function newsOf(
  text: string,
  tenantId: string,
  allowed: (name: string | undefined) => boolean,
): Promise<HookNews | undefined> {
  try {
    const events = await Promise.all(elementsOf(jsonOf(bytesOf(text))).map(readEvent))
    if (events.every((event) => event === undefined)) return undefined
    const { hints, alert } = judge(events, tenantId, allowed)
    return { hints, ...(alert === undefined ? {} : { alert }) }
  } catch {
    return undefined
  }
}

function bytesOf(text: string): Uint8Array {
  const trimmed = text.replace(/^\uFEFF/, '').trim()
  return /^[[{]/.test(trimmed) ? new TextEncoder().encode(trimmed) : Buffer.from(trimmed, 'base64')
}

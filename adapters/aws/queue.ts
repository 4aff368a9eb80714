import { DeleteMessageBatchCommand, type Message, ReceiveMessageCommand } from '@aws-sdk/client-sqs'
import { z } from 'zod'
import type { Page } from '../../src/core/adapter.ts'
import { BridgeError } from '../../src/core/errors.ts'
import type { Logger } from '../../src/lib/log.ts'
import type { Session } from './account.ts'
import { toldBy } from './events.ts'
import { purposes } from './purposes.ts'

export interface QueueParts {
  readonly session: Session
  readonly url: string
  readonly region: string
  readonly store: string | undefined
  readonly log: Logger
}

export interface Queue {
  /** What the queue tells, page by page. A message is deleted when the page that it led to has been taken in. */
  drain(signal: AbortSignal): AsyncGenerator<Page>
}

/** The most that one request can have. */
const BATCH = 10
/** Waited for a message: less than a second and servers that have one may not be asked (SQS short polling, read 2026-11). */
const WAIT_SECONDS = 1
/** More than that in one pass, and listing everything is cheaper. */
const MAX_BATCHES = 200

/** A notification of SNS, where the rule feeds a topic and the topic the queue. */
const envelope = z.object({ Type: z.literal('Notification'), Message: z.string() })

function contentOf(body: string | undefined): string {
  try {
    const parsed = envelope.safeParse(JSON.parse(body ?? ''))
    return parsed.success ? parsed.data.Message : (body ?? '')
  } catch {
    return body ?? ''
  }
}

/**
 * A queue is a bell: its messages come late, twice, in any order and from whoever may send to it, so they only say whom
 * to read again.
 */
export function openQueue({ session, url, region, store, log }: QueueParts): Queue {
  const { api, clients } = session
  const sqs = clients.queue(region)

  const receive = async (signal: AbortSignal): Promise<readonly Message[]> => {
    const command = new ReceiveMessageCommand({
      QueueUrl: url,
      MaxNumberOfMessages: BATCH,
      WaitTimeSeconds: WAIT_SECONDS,
    })
    const options = { purpose: purposes.receive, lane: 'sync', signal } as const
    return (await api.read((sending) => sqs.send(command, sending), options)).Messages ?? []
  }

  /** One that is not deleted comes again, and only rings again. */
  const taken = async (messages: readonly Message[], signal: AbortSignal): Promise<void> => {
    const Entries = messages.map(({ ReceiptHandle }, at) => ({ Id: String(at), ReceiptHandle }))
    const command = new DeleteMessageBatchCommand({ QueueUrl: url, Entries })
    const options = { purpose: purposes.taken, lane: 'sync', signal } as const
    try {
      const answer = await api.read((sending) => sqs.send(command, sending), options)
      const failed = answer.Failed?.length ?? 0
      if (failed > 0) log.warn({ failed }, 'messages could not be deleted from the queue')
    } catch (error) {
      if (signal.aborted) throw error
      log.warn({ err: error }, 'messages could not be deleted from the queue')
    }
  }

  return {
    async *drain(signal) {
      const told = new Set<string>()
      for (let count = 0; count < MAX_BATCHES; count++) {
        const messages = await receive(signal)
        if (messages.length === 0) return
        const contents = messages.map(({ Body }) => toldBy(contentOf(Body), store))
        const strange = contents.filter((each) => each === undefined).length
        if (strange > 0) log.warn({ strange }, 'messages of the queue were left out: they have an unknown shape')
        const touched = [...new Set(contents.flatMap((each) => each?.touched ?? []))].filter((id) => !told.has(id))
        for (const id of touched) told.add(id)
        // Resumed when the page is in the store.
        if (touched.length > 0) yield { sightings: [], touched, checkpoint: undefined }
        // Fewer than asked for does not say that there are no more.
        await taken(messages, signal)
      }
      throw new BridgeError('E_DIRECTORY_THROTTLED', 'the queue holds more than is worth reading one by one')
    },
  }
}

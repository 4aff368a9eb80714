import { z } from 'zod'
import { arnOf } from './authorize.ts'
import { type Call, type Operation, operation } from './operation.ts'
import { type Message, md5 } from './queues.ts'
import type { Output } from './wire.ts'
import type { World } from './world.ts'

const QueueUrl = z.string()
const ReceiptHandle = z.string()
const visibility = z.int().min(0).max(43_200)
const on = (world: World, call: Call, input: { readonly QueueUrl: string }) => ({
  arn: world.queues.named(input.QueueUrl, call.region).arn,
})
const batch = <S extends z.ZodType>(entry: S) => z.object({ QueueUrl, Entries: z.array(entry).min(1).max(10) })

/** Queues as a consumer knows them. Data events: the trail does not tell of them. */
export const sqsOperations: Readonly<Record<string, Operation>> = {
  ReceiveMessage: operation({
    input: z.object({
      QueueUrl,
      MaxNumberOfMessages: z.int().min(1).max(10).default(1),
      WaitTimeSeconds: z.int().min(0).max(20).default(0),
      VisibilityTimeout: visibility.exactOptional(),
    }),
    trailed: false,
    on,
    run: async (world, call, input) => {
      const { MaxNumberOfMessages, VisibilityTimeout, WaitTimeSeconds } = input
      const got = await world.queues.receive(world.queues.named(input.QueueUrl, call.region), {
        most: MaxNumberOfMessages,
        waitMs: WaitTimeSeconds * 1000,
        ...(VisibilityTimeout !== undefined && { visibilityMs: VisibilityTimeout * 1000 }),
      })
      return got.length === 0 ? {} : { Messages: got.map(messageOutput) }
    },
  }),
  DeleteMessage: operation({
    input: z.object({ QueueUrl, ReceiptHandle }),
    trailed: false,
    on,
    run: (world, call, input) => {
      world.queues.delete(world.queues.named(input.QueueUrl, call.region), input.ReceiptHandle)
      return undefined
    },
  }),
  DeleteMessageBatch: operation({
    input: batch(z.object({ Id: z.string(), ReceiptHandle })),
    trailed: false,
    on: (world, call, input) => ({ ...on(world, call, input), action: 'sqs:DeleteMessage' }),
    run: (world, call, input) => {
      const queue = world.queues.named(input.QueueUrl, call.region)
      for (const entry of input.Entries) world.queues.delete(queue, entry.ReceiptHandle)
      return { Successful: input.Entries.map(({ Id }) => ({ Id })), Failed: [] }
    },
  }),
  ChangeMessageVisibility: operation({
    input: z.object({ QueueUrl, ReceiptHandle, VisibilityTimeout: visibility }),
    trailed: false,
    on,
    run: (world, call, input) => {
      const queue = world.queues.named(input.QueueUrl, call.region)
      world.queues.hide(queue, input.ReceiptHandle, input.VisibilityTimeout * 1000)
      return undefined
    },
  }),
  GetQueueAttributes: operation({
    input: z.object({ QueueUrl, AttributeNames: z.array(z.string()).default([]) }),
    readOnly: true,
    on,
    run: (world, call, input) => {
      const queue = world.queues.named(input.QueueUrl, call.region)
      const now = world.now()
      const all: Record<string, string | undefined> = {
        QueueArn: queue.arn,
        ApproximateNumberOfMessages: String(queue.messages.filter(({ hiddenUntil }) => hiddenUntil <= now).length),
        ApproximateNumberOfMessagesNotVisible: String(
          queue.messages.filter(({ hiddenUntil }) => hiddenUntil > now).length,
        ),
        VisibilityTimeout: String(queue.visibilityMs / 1000),
        MessageRetentionPeriod: String(queue.retentionMs / 1000),
        Policy: queue.policy,
      }
      const wanted = input.AttributeNames.includes('All') ? Object.keys(all) : input.AttributeNames
      const shown = Object.entries(all).filter(([name, value]) => wanted.includes(name) && value !== undefined)
      return shown.length === 0 ? {} : { Attributes: Object.fromEntries(shown) }
    },
  }),
  SendMessage: operation({
    input: z.object({ QueueUrl, MessageBody: z.string().min(1).max(1_048_576) }),
    trailed: false,
    on,
    run: (world, call, { MessageBody, QueueUrl: url }) => {
      const queue = world.queues.named(url, call.region)
      const message = world.queues.put(queue, MessageBody, arnOf(call.caller.identity))
      return { MessageId: message.id, MD5OfMessageBody: md5(MessageBody) }
    },
  }),
}

function messageOutput(message: Message): Output {
  return {
    MessageId: message.id,
    ReceiptHandle: message.receipt,
    MD5OfBody: md5(message.body),
    Body: message.body,
    Attributes: {
      SenderId: message.senderId,
      SentTimestamp: String(message.sentAt),
      ApproximateReceiveCount: String(message.receives),
      ApproximateFirstReceiveTimestamp: String(message.firstReceivedAt),
    },
  }
}

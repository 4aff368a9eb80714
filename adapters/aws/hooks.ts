import type { Hint, HookAnswer, Hooks } from '../../src/core/adapter.ts'
import { BridgeError } from '../../src/core/errors.ts'
import { toldBy } from './events.ts'
import type { Sns, SnsMessage } from './sns.ts'

export interface HooksParts {
  readonly sns: Sns
  /** The identity store that is configured. */
  readonly store: string | undefined
}

/** Notifications of a topic that an EventBridge rule feeds, and the handshakes before and after. */
export function openHooks({ sns, store }: HooksParts): Hooks {
  return {
    async receive({ method, body }, signal) {
      if (method !== 'POST') throw new BridgeError('E_HOOK_BODY', 'deliveries come by POST')
      const message = await sns.verified(body, signal)
      if (message.Type === 'Notification') return judge(message, store)
      if (message.Type === 'SubscriptionConfirmation') {
        await sns.confirm(message, signal)
        return taken([])
      }
      const text = `The subscription to ${message.TopicArn} was ended: no notifications arrive any more.`
      return { ...taken([]), alert: { code: 'hook-deleted', text } }
    },
  }
}

const taken = (hints: readonly Hint[]): HookAnswer => ({ status: 200, headers: {}, body: undefined, hints })

function judge({ Message, MessageId }: SnsMessage, store: string | undefined): HookAnswer {
  const told = toldBy(Message, store)
  if (!told) {
    const text = 'A message of the topic was left out: it is no event of CloudTrail.'
    return { ...taken([]), alert: { code: 'hook-skipped', text } }
  }
  // The same event may come in several messages; a message that comes again has the same event.
  const key = told.id === '' ? MessageId : told.id
  return taken([
    ...told.touched.map((principal) => ({ delivery: `${key}|${principal}`, principal })),
    ...told.groups.map((group) => ({ delivery: `${key}|${group}`, group })),
  ])
}

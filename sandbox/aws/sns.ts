import { z } from 'zod'
import { type Operation, operation } from './operation.ts'

/** Confirming is permitted to whoever has the token, signed or by the address that was sent. */
export const snsOperations: Readonly<Record<string, Operation>> = {
  ConfirmSubscription: operation({
    input: z.object({ TopicArn: z.string(), Token: z.string() }),
    on: (_world, _call, { TopicArn }) => ({ arn: TopicArn }),
    run: (world, _call, { Token, TopicArn }) => ({ SubscriptionArn: world.topics.confirm(TopicArn, Token) }),
  }),
}

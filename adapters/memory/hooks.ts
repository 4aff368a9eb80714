import { z } from 'zod'
import type { Hint, HookRequest, Hooks } from '../../src/core/adapter.ts'
import { BridgeError } from '../../src/core/errors.ts'
import { SecretRef } from '../../src/lib/secret.ts'
import { isSecret, jsonOf, unverified } from '../deliveries.ts'

const bell = z.object({ delivery: z.string().min(1), principal: z.string().optional(), group: z.string().optional() })
const body = z.union([z.array(bell).max(1000), bell.transform((one) => [one])])

/** Bells with a shared key in `x-bridge-key`: `{ delivery, principal?, group? }` or a list of them. */
export function openHooks(key: string): Hooks {
  const secrets = [SecretRef.of(key)]
  return {
    async receive(request: HookRequest) {
      if (!isSecret(request.headers['x-bridge-key'] ?? '', secrets))
        throw unverified('the delivery does not carry the shared key')
      const hints = parse(request.body).map(
        ({ delivery, principal, group }): Hint => ({
          delivery,
          ...(principal === undefined ? {} : { principal }),
          ...(group === undefined ? {} : { group }),
        }),
      )
      return { status: 202, headers: {}, body: undefined, hints }
    },
  }
}

function parse(bytes: Uint8Array): z.output<typeof body> {
  const parsed = body.safeParse(jsonOf(bytes))
  if (!parsed.success) throw new BridgeError('E_HOOK_BODY', 'the delivery has an unknown shape')
  return parsed.data
}

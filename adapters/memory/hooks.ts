import { createHash, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import type { Hint, HookRequest, Hooks } from '../../src/core/adapter.ts'
import { BridgeError } from '../../src/core/errors.ts'

const bell = z.object({ delivery: z.string().min(1), principal: z.string().optional(), group: z.string().optional() })
const body = z.union([z.array(bell).max(1000), bell.transform((one) => [one])])

const digest = (text: string) => createHash('sha256').update(text).digest()

/** Bells with a shared key in `x-bridge-key`: `{ delivery, principal?, group? }` or a list of them. */
export function openHooks(key: string): Hooks {
  const expected = digest(key)
  return {
    async receive(request: HookRequest) {
      const given = request.headers['x-bridge-key']
      if (given === undefined || !timingSafeEqual(digest(given), expected))
        throw new BridgeError('E_HOOK_UNVERIFIED', 'the delivery does not carry the shared key')
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
  let json: unknown
  try {
    json = JSON.parse(new TextDecoder().decode(bytes))
  } catch (cause) {
    throw new BridgeError('E_HOOK_BODY', 'the delivery is not JSON', { cause })
  }
  const parsed = body.safeParse(json)
  if (!parsed.success) throw new BridgeError('E_HOOK_BODY', 'the delivery has an unknown shape')
  return parsed.data
}

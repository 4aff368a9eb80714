import { createHash } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { canonical } from '../core/canonical.ts'
import { BridgeError } from '../core/errors.ts'
import type { Bridge } from '../engine/api.ts'
import { callerOf } from './auth.ts'
import { invalid } from './validation.ts'

const keyForm = /^[\x20-\x7e]{1,200}$/
const MAX_IN_FLIGHT = 1000

export interface Answer<T> {
  readonly status: number
  readonly body: T
}

export interface Work<T> {
  /** Does it. `ref` is what `repeat` needs to find the present state again. */
  run(): Promise<Answer<T> & { readonly ref: string }>
  /** The present state of what was done; nothing is done again. */
  repeat(ref: string, status: number): Promise<Answer<T>>
}

/** Puts the status on the reply and gives the body. */
export const respond = <T>(reply: FastifyReply, { status, body }: Answer<T>): T => {
  reply.code(status)
  return body
}

export type Once = <T>(request: FastifyRequest, work: Work<T>) => Promise<Answer<T>>

/**
 * `Idempotency-Key`: one effect per client, route and key. The key is stored after the effect, so a process that dies in
 * between leaves none: a repeat then acts again, as if there were no key.
 * @throws BridgeError E_IDEMPOTENCY_BODY the key was used with another body or path
 */
export const createOnce = (store: Bridge['idempotency']): Once => {
  const inFlight = new Map<string, Promise<unknown>>()

  return async (request, work) => {
    const key = request.headers['idempotency-key']
    if (key === undefined) return work.run()
    if (typeof key !== 'string' || !keyForm.test(key)) {
      const hint = 'Use up to 200 printable ASCII characters, e.g. a UUID.'
      throw invalid('header', [{ pointer: '/idempotency-key', code: 'invalid_format' }], hint)
    }
    const client = callerOf(request).name
    const route = `${request.method} ${request.routeOptions.url ?? ''}`
    const asked = canonical({ params: request.params ?? null, body: request.body ?? null })
    const bodyHash = createHash('sha256').update(asked).digest('hex')

    const answer = async () => {
      const stored = await store.get(client, route, key)
      if (stored !== undefined) {
        if (stored.bodyHash === bodyHash) return work.repeat(stored.ref, stored.status)
        throw new BridgeError('E_IDEMPOTENCY_BODY', 'This Idempotency-Key was used for a different request.', {
          hint: 'Use a new key for a new request.',
        })
      }
      const done = await work.run()
      try {
        await store.put(client, route, key, { bodyHash, status: done.status, ref: done.ref })
      } catch (err) {
        // What was asked is done and durable: saying otherwise would make the caller do it twice.
        request.log.warn({ err }, 'idempotency key not stored')
      }
      return done
    }

    const slot = JSON.stringify([client, route, key])
    for (let first = inFlight.get(slot); first !== undefined; first = inFlight.get(slot)) await first
    if (inFlight.size >= MAX_IN_FLIGHT) {
      const hint = 'Repeat the request, with the same key, in a second.'
      throw new BridgeError('E_BUDGET', 'Too many requests are in progress.', { hint, retryAfterMs: 1000 })
    }
    const mine = answer()
    const settled = mine.then(
      () => inFlight.delete(slot),
      () => inFlight.delete(slot),
    )
    inFlight.set(slot, settled)
    return mine
  }
}

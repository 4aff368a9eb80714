import { createHash } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { canonical } from '../core/canonical.ts'
import { BridgeError } from '../core/errors.ts'
import type { Keep, Kept } from '../engine/keeping.ts'
import { callerOf } from './auth.ts'
import { invalid } from './validation.ts'

const keyForm = /^[\x20-\x7e]{1,200}$/
const MAX_IN_FLIGHT = 1000

export interface Answer<T> {
  readonly status: number
  readonly body: T
}

export interface Work<T, K = never> {
  /**
   * Does it, and hands `keep` to the transaction of the effect. `ref`: kept afterwards, where there was no effect or where
   * more can be told now than was known then.
   */
  run(keep: Keep<K> | undefined): Promise<Answer<T> & { readonly ref?: string }>
  /** Of what the effect resulted in: the status of the answer, and what `repeat` needs to find the present state. */
  kept?(result: K): { readonly status: number; readonly ref: string }
  /** The present state of what was done; nothing is done again. */
  repeat(ref: string, status: number): Promise<Answer<T>>
}

/** Puts the status on the reply and gives the body. */
export const respond = <T>(reply: FastifyReply, { status, body }: Answer<T>): T => {
  reply.code(status)
  return body
}

export type Once = <T, K = never>(request: FastifyRequest, work: Work<T, K>) => Promise<Answer<T>>

/**
 * `Idempotency-Key`: one effect per client, route and key. The key is kept in the transaction of the effect, so a repeat
 * finds it however the first request ended: without an answer, with a failure after the effect, with the process.
 * @throws BridgeError E_IDEMPOTENCY_BODY the key was used with another body or path
 */
export const createOnce = (store: Kept): Once => {
  const inFlight = new Map<string, Promise<unknown>>()

  return async <T, K>(request: FastifyRequest, work: Work<T, K>): Promise<Answer<T>> => {
    const key = request.headers['idempotency-key']
    if (key === undefined) return work.run(undefined)
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
      const { kept } = work
      const keep = kept && { client, route, key, entry: (result: K) => ({ bodyHash, ...kept(result) }) }
      const { ref, ...done } = await work.run(keep)
      if (ref === undefined) return done
      try {
        await store.put(client, route, key, { bodyHash, status: done.status, ref })
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

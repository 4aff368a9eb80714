import { BridgeError } from '../src/core/errors.ts'
import type { Clock } from '../src/lib/clock.ts'

export const abortedError = (signal: AbortSignal): BridgeError =>
  new BridgeError('E_ABORTED', 'the call was given up', { cause: signal.reason })

export function live(signal: AbortSignal): void {
  if (signal.aborted) throw abortedError(signal)
}

/** A promise that others wait for too: one caller giving up leaves it to them. */
export async function orAbort<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: gone, reject } = Promise.withResolvers<never>()
  const abort = () => reject(abortedError(signal))
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await Promise.race([promise, gone])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

/** @throws BridgeError E_ABORTED */
export async function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  try {
    await clock.sleep(ms, signal)
  } catch {
    throw abortedError(signal)
  }
}

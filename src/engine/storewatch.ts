import { codeOf, type ErrorCode } from '../core/errors.ts'
import type { Store } from '../core/store.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/log.ts'
import type { Metrics } from '../lib/metrics.ts'
import type { Deps } from './deps.ts'

export interface WatchOptions {
  readonly metrics: Pick<Metrics, 'set'>
  readonly alert: Deps['alert']
  readonly log: Logger
  readonly clock: Pick<Clock, 'mono'>
}

/** On a full disk the odd small write still finds room: it is over when none was refused for so long. */
const quietMs = 10_000

const outcome = 'holds and kills are refused (503); what was held stays denied'

/**
 * The same store, which tells when it stops taking writes and when it takes them again: once each, however many are
 * refused meanwhile. What was committed goes on to be decided by; nothing new is acknowledged.
 */
export const watchStore = <S extends Store>(store: S, { metrics, alert, log, clock }: WatchOptions): S => {
  let refused: { readonly code: ErrorCode; readonly mono: number } | undefined
  let low = false
  metrics.set('store_writable', {}, 1)

  const write: Store['write'] = async (work) => {
    try {
      const done = await store.write(work)
      if (refused !== undefined && clock.mono() - refused.mono >= quietMs) {
        log.info({ was: refused.code }, 'the store takes writes again')
        refused = undefined
        metrics.set('store_writable', {}, 1)
      }
      return done
    } catch (error) {
      const code = codeOf(error)
      if (code !== 'E_STORE_FULL' && code !== 'E_STORE_READONLY') throw error
      metrics.set('store_writable', {}, 0)
      if (refused === undefined) {
        if (code === 'E_STORE_FULL') alert('store-full', `the disk of the store is full: ${outcome}`)
        else alert('store-read-only', `the store cannot be written: ${outcome}`)
      }
      refused = { code, mono: clock.mono() }
      throw error
    }
  }

  const ping = async (): Promise<void> => {
    try {
      await store.ping()
      low = false
    } catch (error) {
      if (!low && refused === undefined)
        alert('store-low', 'the store is not ready for writes: is its disk almost full?')
      low = true
      throw error
    }
  }

  return { ...store, write, ping }
}

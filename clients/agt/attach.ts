import { randomUUID } from 'node:crypto'
import { backgroundClock, type Clock } from '../../src/lib/clock.ts'
import { asking as askingOf } from './asking.ts'
import { Contact, type ContactState } from './contact.ts'
import { AgtClientError } from './errors.ts'
import { Firing } from './firing.ts'
import { createGate, type Gate } from './gate.ts'
import { createHolding, type Holding } from './holding.ts'
import { createHttp } from './http.ts'
import { Known } from './known.ts'
import { type AttachOptions, settingsOf } from './options.ts'
import { openQueue } from './queue.ts'
import { Sender } from './sender.ts'
import { createSaver, loadState, type SavedState } from './state.ts'
import { Stopper } from './stopper.ts'
import { follow } from './stream.ts'
import { idsOf, Targets } from './targets.ts'
import { createTrustReporting, type TrustReporting } from './trusting.ts'
import { assertFree, wrapClient, wrapKillSwitch } from './wrap.ts'

/** One process attached to one bridge. */
export interface Attachment extends AsyncDisposable, Holding, TrustReporting {
  readonly gate: Gate
  readonly state: ContactState
  /** Kills that the bridge has not acknowledged. */
  readonly pending: number
  /** Kills that the bridge refuses for good: they act in this process only, until their files are removed. */
  readonly refused: number
  /**
   * Resolves once the client knows who is held, the first time; gates are closed until then.
   * @throws AgtClientError E_STOPPED
   */
  ready(): Promise<void>
  /** Ends the stream and everything in the background. Gates stay closed, kills still go to the folder. Never rejects. */
  stop(): Promise<void>
}

export interface AttachDeps {
  readonly clock: Clock
  /** In [0, 1). */
  readonly random: () => number
}

const system: AttachDeps = { clock: backgroundClock, random: Math.random }

/**
 * Attaches the kill switches, identities and clients of this process to a bridge. Returns at once, with every gate
 * closed; the connection is made in the background and keeps no process alive.
 * @throws AgtClientError E_OPTIONS, E_ATTACHED, E_QUEUE the folder cannot be used
 */
export const attach = (options: AttachOptions, { clock, random }: AttachDeps = system): Attachment => {
  const settings = settingsOf(options)
  const { report, folder, switches, clients, registry, aliases, silenceMs } = settings
  assertFree(switches, clients)
  const url = settings.base.href
  const queue = openQueue(folder, report)
  const saved = folder === undefined ? undefined : loadState(folder, url, report)
  const stopping = new AbortController()
  const { signal } = stopping

  const http = createHttp(settings)
  const known = new Known(saved)
  const contact = new Contact(clock, silenceMs, report)
  const declared = idsOf(settings)
  const ids = (did: string) => [...new Set(known.spellingsOf(did).flatMap(declared))]
  const didOf = (id: string) => known.didOf(aliases.get(id) ?? id)
  const targets = new Targets(settings, known, ids, saved?.suspended ?? [])
  const firing = new Firing(settings, clock, ids)
  const state = (): SavedState => ({ ...known.state, suspended: targets.suspended })
  const saver = folder === undefined ? undefined : createSaver(folder, url, state, clock, report)
  const acked = () => saver?.save()
  const { killFrom } = settings
  const stopper = new Stopper({ http, known, contact, targets, firing, clock, random, report, killFrom, acked }, signal)
  const align = (did: string) => stopper.align(did)
  const sender = new Sender({ http, queue, known, clock, random, report, align })
  const gate = createGate({ known, contact, didOf, registry, align })
  const asking = askingOf(http, signal)

  // What an earlier process killed stays stopped while the bridge has not said otherwise.
  for (const { did, id } of [...queue.waiting, ...queue.refused]) known.latch(did, id)
  for (const { did, id } of queue.refused) known.keep(did, id)

  const isLive = () => !signal.aborted
  const { recordTimeoutMs } = settings
  const recorder = { known, queue, sender, firing, report, didOf, align, clock, newId: randomUUID, recordTimeoutMs }
  for (const killSwitch of switches) wrapKillSwitch(recorder, killSwitch, isLive)
  for (const client of clients) wrapClient(gate, client, isLive)

  const changed = (dids: readonly string[]) => {
    for (const did of dids) align(did)
    saver?.save()
  }
  const current = () => sender.wake()
  const alive = () => {
    for (const did of known.closedDids()) align(did)
  }
  const watch = async () => {
    for (; !signal.aborted; contact.state) {
      await clock.sleep(Math.max(contact.leftMs, silenceMs / 4) + 1, signal).catch(() => undefined)
    }
  }
  const loops = [
    follow({ http, known, contact, clock, random, silenceMs, report, changed, current, alive }, signal),
    sender.run(signal),
    saver?.run(signal) ?? Promise.resolve(),
    watch(),
  ].map((loop) => loop.catch((cause) => report(new AgtClientError('E_STREAM', 'The client failed.', { cause }))))

  const stop = async () => {
    options.signal?.removeEventListener('abort', stop)
    contact.stop()
    stopping.abort(new AgtClientError('E_STOPPED', 'The client was stopped.'))
    await Promise.all(loops)
  }
  if (options.signal?.aborted === true) void stop()
  else options.signal?.addEventListener('abort', stop, { once: true })

  return {
    gate,
    ...createHolding({ asking, known, contact, didOf, newId: randomUUID }),
    ...createTrustReporting(asking, didOf),
    get state() {
      return contact.state
    },
    get pending() {
      return queue.waiting.length
    },
    get refused() {
      return queue.refused.length
    },
    ready: async () => {
      if (contact.state !== 'connecting') return readyOr(contact.state)
      // Whoever waits for it wants the process to live on meanwhile.
      const alive = setInterval(() => undefined, 60_000)
      try {
        await contact.connected(signal)
      } finally {
        clearInterval(alive)
      }
      return readyOr(contact.state)
    },
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

const readyOr = (state: ContactState): void => {
  if (state === 'stopped') throw new AgtClientError('E_STOPPED', 'The client was stopped before it knew who is held.')
}

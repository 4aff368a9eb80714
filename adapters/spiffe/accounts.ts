import { z } from 'zod'
import type { PrincipalRef, WriteResult } from '../../src/core/adapter.ts'
import { BridgeError } from '../../src/core/errors.ts'
import type { Sighting } from '../../src/core/types.ts'
import type { Logger } from '../../src/lib/log.ts'
import { live } from '../aborts.ts'
import { statusError } from '../grpc.ts'
import { inParallel } from '../parallel.ts'
import { parseId, type SpiffeId, textOf } from '../spiffeid.ts'
import { offByOurSwitch } from '../switches.ts'
import type { Entry } from './entries.ts'
import { asBridgeError, malformed, parse, purposes, wasRefused } from './errors.ts'
import type { Reader, Reading } from './reading.ts'
import { type Change, restoring, suspending } from './sentinel.ts'
import type { Server } from './server.ts'
import { methods } from './wire.ts'

export interface SwitcherParts {
  readonly server: Server
  readonly reader: Reader
  readonly log: Logger
  readonly vet: (ref: PrincipalRef) => BridgeError | undefined
}

export interface Switcher {
  disable(refs: readonly PrincipalRef[], signal: AbortSignal): Promise<WriteResult[]>
  enable(refs: readonly PrincipalRef[], signal: AbortSignal, stillWanted?: () => Promise<void>): Promise<WriteResult[]>
}

/** Each is a listing and an update of its own. */
export const BATCH = 50
const WIDTH = 10
/** Entries in one update: far below what one message can hold. */
const MAX_ITEMS = 500

const answer = z.object({
  results: z.array(
    z.object({
      status: z.object({ code: z.int() }).nullish(),
      entry: z
        .object({
          revision_number: z
            .string()
            .regex(/^\d{1,19}$/)
            .transform(BigInt),
        })
        .nullish(),
    }),
  ),
})

type Outcome = Pick<WriteResult, 'outcome' | 'error'>

const OK = 0
/** The entry is gone, and whatever it allowed with it. */
const NOT_FOUND = 5

export function openSwitcher({ server, reader, log, vet }: SwitcherParts): Switcher {
  /** Every other field is left as it is: `input_mask` names what is written, and `selectors` is replaced as a set. */
  const update = async (changes: readonly Change[], read: ReadonlyMap<string, Entry>, signal: AbortSignal) => {
    const purpose = purposes.updateEntries
    const flagged = changes.some(({ id, admin, downstream }) => {
      const entry = read.get(id)
      return entry?.admin !== admin || entry.downstream !== downstream
    })
    const input_mask = { selectors: true, ...(flagged && { admin: true, downstream: true }) }
    const request = { entries: changes, input_mask, output_mask: { revision_number: true } }
    const { results } = parse(answer, await server.call(methods.updateEntries, request, { purpose, signal }), purpose)
    if (results.length !== changes.length) throw malformed(purpose)
    return results.map(({ status, entry }, at) => {
      const code = status?.code ?? OK
      const id = changes[at]?.id ?? ''
      const expected = (read.get(id)?.revision_number ?? 0n) + 1n
      // There is no conditional update: that somebody else wrote in between is only seen afterwards.
      if (code === OK && entry && entry.revision_number !== expected)
        log.warn(
          { entry: id },
          'an entry was changed by somebody else while the bridge changed it: see that it is as meant',
        )
      return code === OK || code === NOT_FOUND ? undefined : statusError(code, purpose)
    })
  }

  const apply = async (
    changes: readonly Change[],
    entries: readonly Entry[],
    signal: AbortSignal,
  ): Promise<Outcome> => {
    const read = new Map(entries.map((entry) => [entry.id, entry]))
    const errors: (BridgeError | undefined)[] = []
    for (let at = 0; at < changes.length; at += MAX_ITEMS) {
      const some = changes.slice(at, at + MAX_ITEMS)
      const told = await update(some, read, signal).catch((error) => some.map(() => asBridgeError(error)))
      errors.push(...told)
    }
    const failed = errors.filter((error) => error !== undefined)
    const [error] = failed
    if (error === undefined) return { outcome: 'done' }
    // With a part of the entries changed it is neither off nor untouched.
    const untouched = failed.length === errors.length && failed.every(wasRefused)
    return { outcome: untouched ? 'refused' : 'lost', error }
  }

  const disableOne = async (reading: Reading, signal: AbortSignal): Promise<Omit<WriteResult, 'id'>> => {
    const { entries, sighting: before } = reading
    if (before.state === 'absent' || offByOurSwitch(before.switches)) return { before, outcome: 'unsent' }
    const changes = entries.map(suspending).filter((change) => change !== undefined)
    return { before, ...(await apply(changes, entries, signal)) }
  }

  const enableOne = async (
    { entries, sighting }: Reading,
    signal: AbortSignal,
    stillWanted?: () => Promise<void>,
  ): Promise<Omit<WriteResult, 'id'>> => {
    const before = undefined
    if (sighting.state === 'absent') return { before, outcome: 'refused', error: gone() }
    const changes = entries.map(restoring).filter((change) => change !== undefined)
    if (changes.some(({ selectors }) => selectors.length === 0)) return { before, outcome: 'refused', error: bare() }
    try {
      await stillWanted?.()
      live(signal)
    } catch (error) {
      return { before, outcome: 'unsent', error: asBridgeError(error) }
    }
    return { before, ...(await apply(changes, entries, signal)) }
  }

  const each = async (
    refs: readonly PrincipalRef[],
    signal: AbortSignal,
    run: (reading: Reading) => Promise<Omit<WriteResult, 'id'>>,
  ): Promise<WriteResult[]> => {
    const unsent = (id: string, error?: BridgeError, before?: Sighting): WriteResult => ({
      id,
      before,
      outcome: 'unsent',
      ...(error && { error }),
    })
    const unique = [...new Map(refs.map((ref) => [ref.id, ref])).values()]
    const fit: SpiffeId[] = []
    const results: WriteResult[] = []
    for (const ref of unique) {
      const id = parseId(ref.id)
      const refused = vet(ref) ?? (ref.kind === 'workload' ? undefined : unswitched())
      if (refused || !id) results.push(unsent(ref.id, refused))
      else fit.push(id)
    }
    const readings = await reader.read(fit, signal).catch(asBridgeError)
    const written = await inParallel(fit, WIDTH, async (of): Promise<WriteResult> => {
      const id = textOf(of)
      const reading = readings instanceof Error ? readings : readings.get(id)
      // Selectors are written as a whole: without having read them nothing can be added to them.
      if (!reading || reading instanceof Error) return unsent(id, asBridgeError(reading))
      // Who we are may be known only now.
      const refused = vet({ id, kind: 'workload' })
      if (refused) return unsent(id, refused, reading.sighting)
      return { id, ...(await run(reading)) }
    })
    return [...results, ...written]
  }

  return {
    disable: (refs, signal) => each(refs, signal, (reading) => disableOne(reading, signal)),
    enable: (refs, signal, stillWanted) => each(refs, signal, (reading) => enableOne(reading, signal, stillWanted)),
  }
}

export const unswitched = (): BridgeError =>
  new BridgeError('E_NOT_SWITCHABLE', 'a workload of another trust domain is registered with another server', {
    hint: 'suspend it there; here its tokens are refused at once all the same',
  })

const gone = (): BridgeError =>
  new BridgeError('E_DIRECTORY_REFUSED', 'the SPIFFE ID has no registration entry any more', {
    hint: 'create the entry again, or take the principal from its agent',
  })

const bare = (): BridgeError =>
  new BridgeError('E_DIRECTORY_REFUSED', 'an entry has no selector but those of the suspension', {
    hint: 'give it the selectors of its workload (spire-server entry update): the suspension is lifted then',
  })

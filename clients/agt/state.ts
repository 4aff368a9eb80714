import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Clock } from '../../src/lib/clock.ts'
import { createBell } from './bell.ts'
import { AgtClientError, type Report } from './errors.ts'
import { makeFolder, writeDurably } from './files.ts'
import { isMembers, parsed, parsePosition, textOf } from './frames.ts'
import type { KnownHold, KnownState } from './known.ts'

export interface SavedState extends KnownState {
  /** What we suspended, and so may reactivate. */
  readonly suspended: readonly string[]
}

const holdOf = (value: unknown): KnownHold | undefined => {
  if (!isMembers(value)) return undefined
  const { holdId, severity, origin, seq, acked } = value
  if (typeof holdId !== 'string' || typeof severity !== 'string') return undefined
  return {
    holdId,
    severity,
    origin: typeof origin === 'string' ? origin : undefined,
    seq: typeof seq === 'number' ? seq : undefined,
    acked: acked === true,
  }
}

const namesOf = (value: unknown): [string, string[]][] | undefined => {
  if (!Array.isArray(value)) return undefined
  const names: [string, string[]][] = []
  for (const one of value) {
    const [did, list]: unknown[] = Array.isArray(one) ? one : []
    if (typeof did !== 'string' || !Array.isArray(list)) return undefined
    const aliases = list.filter((alias) => typeof alias === 'string')
    if (aliases.length !== list.length) return undefined
    names.push([did, aliases])
  }
  return names
}

const stateOf = (content: string, url: string): SavedState | undefined => {
  const value = parsed(content)
  if (!isMembers(value) || value.version !== 1 || value.url !== url) return undefined
  const { position, held, names, suspended } = value
  const at = typeof position === 'string' ? parsePosition(position) : undefined
  if (at === undefined || !Array.isArray(held) || !Array.isArray(suspended)) return undefined
  const spelled = namesOf(names)
  if (spelled === undefined) return undefined
  const known: [string, KnownHold[]][] = []
  for (const one of held) {
    const [did, list]: unknown[] = Array.isArray(one) ? one : []
    if (typeof did !== 'string' || !Array.isArray(list)) return undefined
    const holds = list.map(holdOf).filter((hold) => hold !== undefined)
    // A position without all that is held at it would open gates.
    if (holds.length === 0 || holds.length !== list.length) return undefined
    known.push([did, holds])
  }
  return { position: at, held: known, names: spelled, suspended: suspended.filter((key) => typeof key === 'string') }
}

/** Where the client stood when the process ended; undefined when there is nothing usable: the stream gives a snapshot then. */
export const loadState = (folder: string, url: string, report: Report): SavedState | undefined => {
  let content: string
  try {
    content = readFileSync(join(makeFolder(folder), 'state.json'), 'utf8')
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined
    report(new AgtClientError('E_STATE', 'The saved position cannot be read; it begins with a snapshot.', { cause }))
    return undefined
  }
  const state = stateOf(content, url)
  if (state === undefined) {
    report(
      new AgtClientError('E_STATE', 'The saved position is of another bridge or damaged; it begins with a snapshot.'),
    )
  }
  return state
}

/** At most one write at a time, and not many a second: a position that lags is only told again. */
const betweenMs = 100

/** Keeps the state on disk a moment behind; held agents and position are one file, so that they never disagree. */
export const createSaver = (
  folder: string,
  url: string,
  state: () => SavedState,
  clock: Clock,
  report: Report,
): { save(): void; run(signal: AbortSignal): Promise<void> } => {
  const bell = createBell()
  let failed = false
  const write = async () => {
    const { position, held, names, suspended } = state()
    if (position === undefined) return
    const content = { version: 1, url, position: textOf(position), held, names, suspended }
    try {
      await writeDurably(join(folder, 'state.json'), JSON.stringify(content))
      failed = false
    } catch (cause) {
      if (!failed)
        report(new AgtClientError('E_STATE', 'The position cannot be saved; a restart begins earlier.', { cause }))
      failed = true
    }
  }
  return {
    save: () => bell.ring(),
    run: async (signal) => {
      while (!signal.aborted) {
        await bell.rung(signal)
        await write()
        await clock.sleep(betweenMs, signal).catch(() => undefined)
      }
      // What came last is on disk when the client has stopped.
      await write()
    },
  }
}

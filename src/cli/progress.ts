import { systemClock } from '../lib/clock.ts'
import type { Io } from './io.ts'

const width = 30
const everyMs = 100

/** A bar on standard error, when that is a terminal: how many, and of how many where that is known. */
export const progressOf = (io: Io, what: string): ((done: number, total?: number) => void) => {
  const { progress } = io
  if (progress === undefined) return () => undefined
  let shown = Number.NEGATIVE_INFINITY
  return (done, total) => {
    const now = systemClock.mono()
    if (now - shown < everyMs && done !== total) return
    shown = now
    progress(lineOf(what, done, total))
  }
}

const lineOf = (what: string, done: number, total: number | undefined): string => {
  if (total === undefined) return `${what} ${done} rows`
  const share = total === 0 ? 1 : done / total
  const full = Math.round(share * width)
  return `${what.padEnd(11)} [${'#'.repeat(full)}${'.'.repeat(width - full)}] ${Math.floor(share * 100)} % of ${total}`
}

import { rmSync } from 'node:fs'
import { ms, type Row, spreadOf } from '../bench/figures.ts'
import type { Play } from './actions.ts'
import type { Follower } from './follower.ts'
import { directions } from './samples.ts'

export interface Input {
  readonly play: Play
  readonly seed: number
  readonly minutes: number
  readonly compression: number
  readonly resume: string
  readonly restMs: number
  readonly followers: readonly Follower[]
  readonly folder: string
}

const mostEvents = 150

/** The lines that lead up to it, the last ones when there are many. */
const timeline = ({ journal }: Play, about: readonly string[]): string => {
  const events = journal.about(about)
  const lines = events.map(
    ({ at, what, text }) => `    ${new Date(at).toISOString().slice(11, 23)} ${what.padEnd(9)} ${text}`,
  )
  return lines.slice(-mostEvents).join('\n')
}

const counted = ({ journal }: Play, prefix: string): Record<string, number> =>
  Object.fromEntries(
    [...journal.counts]
      .filter(([what]) => what.startsWith(prefix))
      .map(([what, n]): [string, number] => [what.slice(prefix.length), n])
      .toSorted(([a], [b]) => (a < b ? -1 : 1)),
  )

const sum = (counts: Record<string, number>) => Object.values(counts).reduce((total, n) => total + n, 0)

export const reportOf = (input: Input): { text: string; rows: Row[]; json: unknown } => {
  const { compression, followers, folder, minutes, play, restMs, resume, seed } = input
  const { daemon, journal, samples } = play
  const actions = counted(play, 'action ')
  const faults = counted(play, 'fault ')
  const propagation = Object.fromEntries(directions.map((one) => [one, spreadOf(samples.times[one])]))
  const { violations } = journal
  const count = (what: string) => journal.counts.get(what) ?? 0
  if (violations.length === 0) rmSync(folder, { recursive: true, force: true })
  const text = violations
    .map(({ rule, text, about }) => `VIOLATION ${rule}: ${text}\n  ${about.join(' ')}\n${timeline(play, about)}`)
    .concat(violations.length === 0 ? [] : [`seed ${seed}; the store is kept in ${folder}`])
    .join('\n\n')
  const rows: Row[] = [
    ['seed', String(seed)],
    ['minutes', `${minutes}, standing for ${((minutes * compression) / 60).toFixed(1)} h (resume: ${resume})`],
    ['actions', `${sum(actions)}: ${JSON.stringify(actions)}`],
    ['faults', `${sum(faults)}: ${JSON.stringify(faults)}`],
    ['kill -9 of the daemon', String(daemon.kills)],
    ['cuts of a stream', String(followers.reduce((total, one) => total + one.cuts, 0))],
    ['at rest after', `${(restMs / 1000).toFixed(1)} s`],
    ['kills of many, signals acknowledged, receipts read', ['kills of many', 'acks', 'receipts'].map(count).join(', ')],
    ['checks of an invariant', String(journal.checks)],
    ['own holds unproven (a clock was off)', String(count('own holds unproven'))],
    ...directions.map((one): Row => {
      const { count, p50, p99 } = spreadOf(samples.times[one])
      return [one, count === 0 ? 'no samples' : `p50 ${ms(p50)}, p99 ${ms(p99)} (${count} samples)`]
    }),
    ['samples taken back before they arrived', String(samples.dropped)],
    // Last, each with its first sentence: the end of a long output is what people see first.
    ['violations', String(violations.length)],
    ...violations.map(({ rule, text, about }): Row => [rule, `${text.slice(0, 600)} (${about.join(' ')})`]),
  ]
  const json = {
    seed,
    minutes,
    compression,
    resume,
    actions,
    faults,
    kills: daemon.kills,
    restMs,
    checks: journal.checks,
    violations,
    propagation,
    dropped: samples.dropped,
  }
  return { text, rows, json }
}

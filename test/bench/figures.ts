import { cpus, totalmem } from 'node:os'
import { arch, cpuUsage, platform, version } from 'node:process'

export interface Spread {
  readonly p50: number
  readonly p99: number
  readonly count: number
}

export const spreadOf = (times: readonly number[]): Spread => {
  const sorted = times.toSorted((a, b) => a - b)
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
  return { p50: at(0.5), p99: at(0.99), count: sorted.length }
}

export const median = (list: readonly number[]): number =>
  list.toSorted((a, b) => a - b)[list.length >> 1] ?? Number.NaN

export const ms = (value: number): string => `${value.toFixed(1)} ms`
export const whole = (value: number): string => Math.round(value).toLocaleString('en')
export const spreadText = ({ p50, p99, count }: Spread): string => `p50 ${ms(p50)}, p99 ${ms(p99)} (${count} samples)`

export const secondsOf = async (work: () => Promise<unknown>): Promise<number> => {
  const started = performance.now()
  await work()
  return (performance.now() - started) / 1000
}

/** By the processor's time, of all threads, which others on the machine change less. */
export const cpuSeconds = async (work: () => Promise<unknown>): Promise<number> => {
  const before = cpuUsage()
  await work()
  const { user, system } = cpuUsage(before)
  return (user + system) / 1e6
}

/** The machine a figure belongs to. */
export const machine = (): string => {
  const list = cpus()
  const memory = `${Math.round(totalmem() / 2 ** 30)} GiB`
  return `${list.length} × ${list[0]?.model.trim() ?? 'unknown'}, ${memory}, ${platform} ${arch}, Node ${version}`
}

export type Row = readonly [what: string, figure: string]

export const table = (rows: readonly Row[]): string => {
  const width = Math.max(...rows.map(([what]) => what.length))
  return rows.map(([what, figure]) => `  ${what.padEnd(width)}  ${figure}`).join('\n')
}

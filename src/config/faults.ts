import { BridgeError } from '../core/errors.ts'

export type FaultCode =
  | 'syntax'
  | 'too_large'
  | 'unknown_key'
  | 'missing'
  | 'wrong_type'
  | 'bad_value'
  | 'conflict'
  | 'env_missing'
  | 'unreadable'

/** One thing wrong with a configuration. Holds no value of it: a value may be a secret in the wrong place. */
export interface Fault {
  /** `adapters.contoso.tenantId`; empty for the file as a whole. */
  readonly path: string
  readonly code: FaultCode
  /** What is wrong, to be read after the path. */
  readonly message: string
  /** How to mend it. */
  readonly hint?: string
  /** Where in the file, from 1. */
  readonly line?: number
  readonly column?: number
}

/** `E_CONFIG` with every fault found, in the order of the file. */
export class ConfigError extends BridgeError {
  readonly source: string
  readonly faults: readonly Fault[]

  constructor(source: string, faults: readonly Fault[]) {
    const count = faults.length === 1 ? '1 fault' : `${faults.length} faults`
    super('E_CONFIG', `the configuration ${source} has ${count}`, {
      hint: faults.map(oneLine).join('; '),
      details: faults,
    })
    this.name = 'ConfigError'
    this.source = source
    this.faults = faults
  }
}

function oneLine({ path, message }: Fault): string {
  return path === '' ? message : `${path} ${message}`
}

/** The faults for a terminal, two lines each: where and what, then how to mend it. */
export function formatFaults(faults: readonly Fault[], source = 'configuration'): string {
  return faults
    .map((fault) => {
      const place = fault.line === undefined ? source : `${source}:${fault.line}:${fault.column}`
      const hint = fault.hint === undefined ? '' : `\n    ${fault.hint}`
      return `${place}: ${oneLine(fault)}${hint}`
    })
    .join('\n')
}

/** The candidate that was most likely meant, if any is close. */
export function didYouMean(word: string, candidates: readonly string[]): string | undefined {
  const bound = Math.max(1, Math.floor(word.length / 3))
  const scored = candidates
    .map((candidate) => ({ candidate, distance: distance(word.toLowerCase(), candidate.toLowerCase()) }))
    .filter((score) => score.distance <= bound)
    .sort((a, b) => a.distance - b.distance)
  return scored[0]?.candidate
}

/** Levenshtein distance, inputs cut at 64 characters. */
function distance(from: string, to: string): number {
  const a = from.slice(0, 64)
  const b = to.slice(0, 64)
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}

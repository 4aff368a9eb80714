import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'
import { type Moment, momentText, parseMoment } from '../core/restore.ts'
import type { Raw } from './database.ts'

const fileOf = (path: string): string => `${path}.head`

/**
 * Keeps the head of the audit chain beside the database (`<db>.head`), as it was told to the log. A database without
 * that entry was put back to an older state, or lost the end of its log. Replaced whole: a power cut leaves the one
 * before or this one.
 */
export const keepHead = (path: string, head: Moment): void => {
  const file = fileOf(path)
  const fresh = `${file}.new`
  const open = openSync(fresh, 'w', 0o600)
  try {
    writeSync(open, `${momentText(head)}\n`)
    fsyncSync(open)
  } finally {
    closeSync(open)
  }
  renameSync(fresh, file)
}

const read = (path: string): Moment | undefined => {
  try {
    return parseMoment(readFileSync(fileOf(path), 'utf8'))
  } catch {
    // It proves something while it is there. Without it only a head from the log does.
    return undefined
  }
}

/** The kept head, when the chain in the database does not contain it. */
export const lostHead = (path: string, raw: Raw): Moment | undefined => {
  const head = read(path)
  if (head === undefined || head.seq === 0) return undefined
  const row = raw.prepare<[number], { hash: string }>('select hash from audit where seq = ?').get(head.seq)
  return row?.hash === head.hash ? undefined : head
}

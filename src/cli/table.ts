import { type Io, paint } from './io.ts'

/** No control character of a name reaches the terminal, and none can break a line of a table. */
export const plain = (text: string): string => text.replaceAll(/\p{C}/gu, '�')

const narrowest = 12

/** Columns of text under bold heads. On a terminal that is too narrow the widest column is cut short; elsewhere none is. */
export const table = (io: Io, heads: readonly string[], rows: readonly (readonly string[])[]): void => {
  const lines = [heads, ...rows.map((row) => row.map(plain))]
  // One by one: a call takes no more than some 100,000 arguments.
  const widths = heads.map((_, at) => lines.reduce((most, line) => Math.max(most, line[at]?.length ?? 0), 0))
  if (io.columns !== undefined) shrink(widths, io.columns)
  const { bold } = paint(io)
  for (const [n, line] of lines.entries()) {
    const text = line.map((cell, at) => fitted(cell, widths[at] ?? 0)).join('  ')
    io.out(n === 0 ? bold(text.trimEnd()) : text.trimEnd())
  }
}

const shrink = (widths: number[], columns: number): void => {
  for (;;) {
    const over = widths.reduce((sum, width) => sum + width + 2, -2) - columns
    const widest = Math.max(...widths)
    if (over <= 0 || widest <= narrowest) return
    widths[widths.indexOf(widest)] = Math.max(narrowest, widest - over, Math.floor(widest / 2))
  }
}

const fitted = (text: string, width: number): string =>
  text.length <= width ? text.padEnd(width) : `${text.slice(0, width - 1)}…`

/** `name  value` lines, their values in one column. */
export const facts = (io: Io, list: readonly (readonly [name: string, value: string])[]): void => {
  const width = Math.max(...list.map(([name]) => name.length))
  const { dim } = paint(io)
  for (const [name, value] of list) io.out(`${dim(name.padEnd(width))}  ${plain(value)}`)
}

/** `1 account`, `2 accounts`. */
export const counted = (n: number, one: string): string => `${n} ${one}${n === 1 ? '' : 's'}`

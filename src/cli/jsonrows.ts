import { plainNames } from '../lib/names.ts'
import { usage } from './files.ts'
import type { Row } from './rows.ts'

const mostCharacters = 256 * 1024 * 1024
const longestLine = 1024 * 1024

/** One value a line; empty lines are left out. */
export async function* jsonLines(text: AsyncIterable<string>): AsyncGenerator<Row> {
  let rest = ''
  let line = 0
  const row = (one: string): Row | undefined => {
    line += 1
    return one.trim() === '' ? undefined : parsedRow(line === 1 ? one.replace(/^\uFEFF/, '') : one, line)
  }
  for await (const piece of text) {
    const lines = (rest + piece).split('\n')
    rest = lines.pop() ?? ''
    if (rest.length > longestLine) throw usage(`Line ${line + 1} is over 1 MiB.`, 'JSON lines have one agent a line.')
    for (const one of lines) {
      const found = row(one)
      if (found !== undefined) yield found
    }
  }
  const last = row(rest)
  if (last !== undefined) yield last
}

const parsedRow = (text: string, line: number): Row => {
  const plain = plainNames(text)
  if (plain === undefined)
    return { line, broken: 'A member name holds a quote, a backslash, a control character or half a surrogate pair.' }
  try {
    return { line, agent: JSON.parse(plain) }
  } catch {
    return { line, broken: 'It is not JSON.' }
  }
}

/** The items of one array, or of `items` as a list of the API has them, each by the line it begins in. */
export async function* jsonRows(pieces: AsyncIterable<string>): AsyncGenerator<Row> {
  let text = ''
  for await (const piece of pieces) {
    text += piece
    if (text.length > mostCharacters)
      throw usage('The file is over 256 MiB.', 'Write JSON lines, which take less memory.')
  }
  const start = text.search(/\S/)
  if (text[start] !== '[')
    throw usage('The file is no JSON array.', 'Write [ { … }, … ], or one object a line (--format jsonl).')
  yield* itemsOf(text, start)
}

/** By counting brackets: a parser would not tell in which line an item begins. */
function* itemsOf(text: string, start: number): Generator<Row> {
  let line = 1 + breaksIn(text, 0, start)
  let depth = 0
  let from: number | undefined
  let begun = line
  for (let at = start; at < text.length; at++) {
    const one = text[at] ?? ''
    if (one === '\n') line += 1
    if (one === '"') {
      if (depth === 1 && from === undefined) [from, begun] = [at, line]
      at = endOfString(text, at)
      continue
    }
    const closes = one === ']' || one === '}'
    if (depth === 1 && (one === ',' || one === ']')) {
      if (from !== undefined) yield parsedRow(text.slice(from, at), begun)
      else if (one === ',') yield { line, broken: 'There is nothing before the comma.' }
      from = undefined
    } else if (depth === 1 && from === undefined && /\S/.test(one)) [from, begun] = [at, line]
    if (one === '[' || one === '{') depth += 1
    else if (closes) depth -= 1
    if (depth > 0) continue
    if (text.slice(at + 1).trim() !== '')
      throw usage(`Something follows the array, in line ${line} or after.`, 'A file is one array.')
    return
  }
  throw usage('The array has no end.', 'Was the file cut?')
}

const breaksIn = (text: string, from: number, to: number): number => text.slice(from, to).split('\n').length - 1

const endOfString = (text: string, start: number): number => {
  for (let at = start + 1; at < text.length; at++) {
    if (text[at] === '\\') at += 1
    else if (text[at] === '"') return at
  }
  return text.length
}

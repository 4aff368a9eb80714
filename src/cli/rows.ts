import { createReadStream } from 'node:fs'
import { csvRows } from './csvrows.ts'
import { usage } from './files.ts'
import { jsonLines, jsonRows } from './jsonrows.ts'

/** One row of a file that names agents: a registration as it was written, or why it is none. */
export type Row =
  | { readonly line: number; readonly agent: unknown }
  | { readonly line: number; readonly broken: string }

export type Format = 'csv' | 'json' | 'jsonl'

const formats: Readonly<Record<string, Format>> = { csv: 'csv', json: 'json', jsonl: 'jsonl', ndjson: 'jsonl' }
const standardInput = 0

/** Text of a file, in pieces. @throws BridgeError E_USAGE */
async function* piecesOf(file: string): AsyncGenerator<string> {
  const named = file === '-' ? 'Standard input' : `The file ${file}`
  const decoder = new TextDecoder('utf-8', { fatal: true })
  try {
    const stream = file === '-' ? createReadStream('', { fd: standardInput, autoClose: false }) : createReadStream(file)
    for await (const piece of stream) yield decoder.decode(piece, { stream: true })
    yield decoder.decode()
  } catch (cause) {
    if (cause instanceof TypeError) throw usage(`${named} is not UTF-8.`, 'Save it as UTF-8.', cause)
    throw usage(`${named} cannot be read.`, 'Check the name and that it is readable.', cause)
  }
}

/**
 * The rows of a file, `-` for standard input, one after another: a file of any length takes little memory, but for one JSON array.
 * Without `format` the name's ending says what it is, or how it begins.
 * @throws BridgeError E_USAGE
 */
export async function* rowsOf(file: string, format: string | undefined): AsyncGenerator<Row> {
  const named = format === undefined ? formats[/\.(\w+)$/.exec(file)?.[1]?.toLowerCase() ?? ''] : formats[format]
  if (format !== undefined && named === undefined) throw usage(`${format} is no format.`, 'Use csv, json or jsonl.')
  const pieces = piecesOf(file)
  const first = await beginning(pieces)
  const text = joined(first, pieces)
  const kind = named ?? guessed(first)
  if (kind === 'csv') yield* csvRows(text)
  else if (kind === 'json') yield* jsonRows(text)
  else yield* jsonLines(text)
}

const beginning = async (pieces: AsyncGenerator<string>): Promise<string> => {
  for (let text = ''; ; ) {
    const { done, value } = await pieces.next()
    if (done === true) return text
    text += value
    if (text.trim() !== '') return text
  }
}

async function* joined(first: string, rest: AsyncIterable<string>): AsyncGenerator<string> {
  yield first
  yield* rest
}

const guessed = (text: string): Format => {
  const start = text.replace(/^\uFEFF/, '').trimStart()
  if (start.startsWith('[')) return 'json'
  return start.startsWith('{') ? 'jsonl' : 'csv'
}

import { z } from 'zod'
import { usage } from './files.ts'
import type { Unmapped } from './findings.ts'
import type { Io } from './io.ts'
import { openSink } from './outfile.ts'

/**
 * The file between `discover` and `agents import`: one row for each account that no DID maps. Its DID is for a person to
 * write. One that only a label or a naming suggests has a mark before it, without which it would be believed unseen.
 */

const mark = '?'

type Format = 'csv' | 'json' | 'jsonl'
const endings: Readonly<Record<string, Format>> = { csv: 'csv', json: 'json', jsonl: 'jsonl', ndjson: 'jsonl' }

/** @throws BridgeError E_USAGE */
export const outFormat = (file: string): Format => {
  const format = endings[/\.(\w+)$/.exec(file)?.[1]?.toLowerCase() ?? '']
  if (format !== undefined) return format
  throw usage(`${file} does not say what it is by its ending.`, 'Name a file that ends in .csv, .json or .jsonl.')
}

const didOf = ({ suggested }: Unmapped): string => (suggested === null ? '' : mark + suggested.did)

const heads = [
  'did',
  'name',
  'sponsor.email',
  'blueprint',
  'capabilities',
  'principal.adapter',
  'principal.id',
  'principal.kind',
  'principal.appId',
]

/** A name that a spreadsheet would take for a formula gets an apostrophe before it. */
const safe = (text: string): string => (/^[=+\-@\t\r]/.test(text) ? `'${text}` : text)
const cell = (text: string): string => (/[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text)

const csvOf = (adapter: string, one: Unmapped): string =>
  [didOf(one), safe(one.name), '', '', '', adapter, one.id, one.kind, one.appId ?? ''].map(cell).join(',')

const agentOf = (adapter: string, one: Unmapped): string => {
  const { appId, id, kind, name } = one
  return JSON.stringify({
    did: didOf(one),
    name,
    principals: [{ adapter, id, kind, ...(appId !== null && { appId }) }],
  })
}

const textOf = (format: Format, adapter: string, rows: readonly Unmapped[]): string => {
  if (format === 'csv') return `${[heads.join(','), ...rows.map((one) => csvOf(adapter, one))].join('\n')}\n`
  const agents = rows.map((one) => agentOf(adapter, one))
  return format === 'json' ? `[\n${agents.join(',\n')}\n]\n` : `${agents.join('\n')}\n`
}

/** All of it or nothing. @throws BridgeError E_USAGE when it cannot be written, or is there and not to be replaced */
export const writeRows = async (
  io: Io,
  file: string,
  adapter: string,
  rows: readonly Unmapped[],
  force: boolean,
): Promise<void> => {
  await using sink = await openSink(io, file, force)
  await sink.write(textOf(outFormat(file), adapter, rows))
  await sink.keep()
}

export interface Unedited {
  readonly detail: string
  readonly hint: string
}

const named = z.looseObject({ did: z.string().optional() })

/** Why a row is not to be imported before a person wrote, or confirmed, whose the account is. */
export const uneditedRow = (agent: unknown): Unedited | undefined => {
  const row = named.safeParse(agent)
  if (!row.success) return undefined
  const did = row.data.did?.trim() ?? ''
  if (did === '') {
    return {
      detail: 'It has no DID: nobody has said which agent this is.',
      hint: 'Write the DID of the agent, or take the row out.',
    }
  }
  if (!did.startsWith(mark)) return undefined
  return {
    detail: `Its DID is a suggestion that nobody has confirmed: ${did.slice(0, 200)}`,
    hint: `Take the ${mark} away if this account is that agent's, write another DID, or take the row out.`,
  }
}

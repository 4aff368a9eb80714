import { Readable } from 'node:stream'
import { CsvError, parse } from 'csv-parse'
import { z } from 'zod'
import { usage } from './files.ts'
import type { Row } from './rows.ts'

/**
 * CSV with a head (RFC 4180): `did`, `name`, `sponsor.email`, `sponsor.objectId`, `blueprint`, `parentDid`, `labels.<name>`, and
 * `capabilities`, `aliases`, `keys` separated by `;`. An account is `principal.adapter`, `.id`, `.kind`, `.appId`, `.scopes`,
 * `.shared`; further ones are `principal2.…` to `principal9.…`. An empty cell says nothing.
 */
type Put = (agent: Agent, text: string) => void
interface Agent {
  readonly members: Map<string, unknown>
  readonly sponsor: Map<string, string>
  readonly labels: Map<string, string>
  readonly principals: Map<string, Map<string, unknown>>
}

const listOf = (text: string): string[] =>
  text
    .split(';')
    .map((one) => one.trim())
    .filter((one) => one !== '')
const truths: Readonly<Record<string, boolean>> = {
  true: true,
  yes: true,
  '1': true,
  false: false,
  no: false,
  '0': false,
}

const columnOf = (head: string): Put | undefined => {
  if (['did', 'name', 'blueprint', 'parentDid'].includes(head)) return ({ members }, text) => members.set(head, text)
  if (['capabilities', 'aliases', 'keys'].includes(head)) return ({ members }, text) => members.set(head, listOf(text))
  const [, of, part = ''] = /^(sponsor|labels|principal[2-9]?)\.(.+)$/.exec(head) ?? []
  if (of === 'sponsor')
    return ['email', 'objectId'].includes(part) ? ({ sponsor }, text) => sponsor.set(part, text) : undefined
  if (of === 'labels') return ({ labels }, text) => labels.set(part, text)
  if (of === undefined || !['adapter', 'id', 'kind', 'appId', 'scopes', 'shared'].includes(part)) return undefined
  return ({ principals }, text) => {
    const one = principals.get(of) ?? new Map<string, unknown>()
    principals.set(of, one)
    one.set(part, part === 'scopes' ? listOf(text) : part === 'shared' ? (truths[text.toLowerCase()] ?? text) : text)
  }
}

const columnsOf = (heads: readonly string[]): Put[] => {
  const twice = heads.find((head, at) => heads.indexOf(head) !== at)
  if (twice !== undefined) throw usage(`The column ${twice} is there twice.`, 'Each column has a name of its own.')
  for (const needed of ['did', 'name']) {
    if (!heads.includes(needed))
      throw usage(`There is no column ${needed}.`, 'The first line names the columns: did,name,…')
  }
  return heads.map((head) => {
    const column = columnOf(head)
    if (column !== undefined) return column
    throw usage(
      `There is no column named ${head.slice(0, 64)}.`,
      'See idp-bridge agents import --help for those there are.',
    )
  })
}

const agentOf = (cells: readonly string[], columns: readonly Put[]): unknown => {
  const agent: Agent = { members: new Map(), sponsor: new Map(), labels: new Map(), principals: new Map() }
  for (const [at, put] of columns.entries()) {
    const text = cells[at]?.trim() ?? ''
    if (text !== '') put(agent, text)
  }
  const { labels, members, principals, sponsor } = agent
  return {
    ...Object.fromEntries(members),
    ...(sponsor.size > 0 && { sponsor: Object.fromEntries(sponsor) }),
    ...(labels.size > 0 && { labels: Object.fromEntries(labels) }),
    ...(principals.size > 0 && { principals: [...principals.values()].map((one) => Object.fromEntries(one)) }),
  }
}

const recordForm = z.object({ record: z.array(z.string()), info: z.object({ lines: z.int() }) })

export async function* csvRows(text: AsyncIterable<string>): AsyncGenerator<Row> {
  const parser = parse({ bom: true, info: true, relax_column_count: true, max_record_size: 1024 * 1024 })
  const records = Readable.from(text)
    .on('error', (error) => parser.destroy(error))
    .pipe(parser)
  let columns: Put[] | undefined
  let width = 0
  let before = 0
  try {
    for await (const one of records) {
      const { info, record } = recordForm.parse(one)
      // A quoted cell may span lines: a row is named by its first one.
      const line = before + 1
      before = info.lines
      if (record.every((cell) => cell.trim() === '')) continue
      if (columns === undefined) {
        columns = columnsOf(record.map((head) => head.trim()))
        width = record.length
      } else if (record.length !== width) {
        yield { line, broken: `It has ${record.length} columns where the head has ${width}.` }
      } else yield { line, agent: agentOf(record, columns) }
    }
  } catch (cause) {
    if (!(cause instanceof CsvError)) throw cause
    throw usage(`The file is no CSV from line ${before + 1} on: ${cause.message}.`, 'Is a quote missing there?', cause)
  }
}

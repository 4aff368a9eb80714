import { causeOf, damaged, type Raw, sqliteCode } from './database.ts'

/** What a decision is made of. Their rows and indexes must agree, or a hold that is there might not be found. */
const decisive = [
  'meta',
  'agents',
  'principals',
  'sharers',
  'aliases',
  'holds',
  'releases',
  'capability_sources',
  'blueprints',
  'tool_servers',
  'delegations',
]

/** Kept as JSON. */
const documents = [
  ['agents', 'labels'],
  ['principals', 'scopes'],
  ['principals', 'switches'],
  ['principals', 'drifts'],
  ['holds', 'evidence'],
  ['blueprints', 'capabilities'],
  ['tool_servers', 'tools'],
] as const

const linesKept = 5

const problems = (raw: Raw, what: string): string[] => {
  try {
    const rows = raw.prepare<[], { integrity_check: string }>(`pragma integrity_check${what}`).all()
    return rows.map((row) => row.integrity_check).filter((line) => line !== 'ok')
  } catch (error) {
    // Some damage ends the check itself.
    const code = sqliteCode(causeOf(error))
    if (code === undefined) throw error
    return [code]
  }
}

const unreadable = (raw: Raw, table: string, column: string): string[] => {
  const sql = `select count(*) as n from ${table} where not json_valid(${column})`
  const n = raw.prepare<[], { n: number }>(sql).get()?.n ?? 0
  return n === 0 ? [] : [`${n} unreadable values in ${table}.${column}`]
}

/** SQLite's own full check; some seconds for a gigabyte. Empty: sound. */
export const integrityOf = (raw: Raw): string[] => problems(raw, '')

/**
 * Checks the tables that decisions are made of. The whole file is checked by every `backup`.
 * @throws BridgeError E_STORE_CORRUPT
 */
export const requireSound = (raw: Raw): void => {
  const tables = decisive.flatMap((table) => problems(raw, `(${table})`))
  const found = tables.length > 0 ? tables : documents.flatMap(([table, column]) => unreadable(raw, table, column))
  if (found.length > 0) throw damaged(new Error(found.slice(0, linesKept).join('; ')), found.slice(0, linesKept))
}

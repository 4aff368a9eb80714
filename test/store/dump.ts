import Database from 'better-sqlite3'

/** Everything that a store's file has, row by row, as text to compare. */
export const rowsOf = (path: string): string => {
  const raw = new Database(path, { readonly: true })
  try {
    const tables = raw
      .prepare<[], { name: string }>("select name from sqlite_master where type = 'table' order by name")
      .all()
    return JSON.stringify(tables.map(({ name }) => [name, raw.prepare(`select * from "${name}"`).all()]))
  } finally {
    raw.close()
  }
}

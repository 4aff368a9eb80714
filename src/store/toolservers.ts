import { sql } from 'kysely'
import type { ToolServer, ToolServerOrigin, ToolServerReads, ToolServerWrites } from '../core/tools.ts'
import { parse } from './columns.ts'
import { build, number, type Run, raw, rowWriter, statement, text } from './statement.ts'

export type ToolServerTable = {
  name: string
  origin: ToolServerOrigin
  description: string | null
  resource: string | null
  unlisted: string | null
  tools: string
  created_at: number
  updated_at: number
  revision: number
}

const writer = rowWriter('tool_servers', ['name', 'origin'])

const all = build.selectFrom('tool_servers').selectAll()
const isInForce = sql`(s.origin = 'config' or not exists
  (select 1 from tool_servers c where c.name = s.name and c.origin = 'config'))`
// 'config' sorts after 'api'.
const named = statement(all.where('name', '=', text('called')).orderBy('origin', 'desc').limit(1))
const identified = raw(
  sql<ToolServerTable>`select * from tool_servers s where resource = ${text('called')} and ${isInForce}
    order by origin desc limit 1`,
)
const page = raw(
  sql<ToolServerTable>`select * from tool_servers s where name > ${text('after')} and ${isInForce}
    order by name limit ${number('limit')}`,
)
const ofOrigin = statement(all.where('origin', '=', text<ToolServerOrigin>('origin')).orderBy('name'))
const drop = statement(
  build
    .deleteFrom('tool_servers')
    .where('name', '=', text('name'))
    .where('origin', '=', text<ToolServerOrigin>('origin')),
)

const toServer = (row: ToolServerTable): ToolServer => ({
  name: row.name,
  origin: row.origin,
  ...(row.description !== null && { description: row.description }),
  ...(row.resource !== null && { resource: row.resource }),
  ...(row.unlisted !== null && { unlisted: row.unlisted }),
  tools: parse(row.tools),
  createdAt: row.created_at,
  updatedAt: row.updated_at,
  revision: row.revision,
})

const fromServer = (server: ToolServer): ToolServerTable => ({
  name: server.name,
  origin: server.origin,
  description: server.description ?? null,
  resource: server.resource ?? null,
  unlisted: server.unlisted ?? null,
  tools: JSON.stringify(server.tools),
  created_at: server.createdAt,
  updated_at: server.updatedAt,
  revision: server.revision,
})

export const toolServerReads = (run: Run): ToolServerReads => ({
  toolServer: async (called) => {
    const row = (await run.one(named, { called })) ?? (await run.one(identified, { called }))
    return row === undefined ? undefined : toServer(row)
  },
  toolServers: async (after, limit) => (await run.all(page, { after, limit })).map(toServer),
  toolServersFrom: async (origin) => (await run.all(ofOrigin, { origin })).map(toServer),
})

export const toolServerWrites = (run: Run): ToolServerWrites => ({
  putToolServer: async (server) => {
    const row = fromServer(server)
    await run.change(writer.put(row), row)
  },
  dropToolServer: async (name, origin) => {
    await run.change(drop, { name, origin })
  },
})

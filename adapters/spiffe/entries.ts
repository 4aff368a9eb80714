import { z } from 'zod'
import type { CallOptions } from '../grpc.ts'
import { type SpiffeId, textOf } from '../spiffeid.ts'
import { malformed, parse, purposes } from './errors.ts'
import type { Server } from './server.ts'
import { methods } from './wire.ts'

const spiffeId = z.object({ trust_domain: z.string(), path: z.string() })
const selector = z.object({ type: z.string().min(1), value: z.string() })

const entry = z.object({
  id: z.string().min(1),
  spiffe_id: spiffeId,
  parent_id: spiffeId,
  selectors: z.array(selector).min(1),
  x509_svid_ttl: z.int().min(0),
  jwt_svid_ttl: z.int().min(0),
  admin: z.boolean(),
  downstream: z.boolean(),
  store_svid: z.boolean(),
  revision_number: z
    .string()
    .regex(/^\d{1,19}$/)
    .transform(BigInt),
})

export type Selector = z.output<typeof selector>
/** A registration entry, as far as it is read. */
export type Entry = z.output<typeof entry>

const mask = {
  spiffe_id: true,
  parent_id: true,
  selectors: true,
  x509_svid_ttl: true,
  jwt_svid_ttl: true,
  admin: true,
  downstream: true,
  store_svid: true,
  revision_number: true,
}

const page = z.object({ entries: z.array(entry), next_page_token: z.string() })
const agents = z.object({ agents: z.array(z.object({ id: spiffeId })), next_page_token: z.string() })

/** A size of zero would be everything in one answer (entry service, read 2026-11). */
const PAGE = 500
/** Every page has a row at least. */
const MAX_PAGES = 10_000

export type ReadOptions = Pick<CallOptions, 'signal'>

/** One page of all entries: from the place that the page before names as `next_page_token`, '' for the first. */
export async function entriesPage(
  server: Server,
  page_token: string,
  { signal }: ReadOptions,
): Promise<z.output<typeof page>> {
  const purpose = purposes.listEntries
  const request = { output_mask: mask, page_size: PAGE, page_token }
  return parse(page, await server.call(methods.listEntries, request, { purpose, signal }), purpose)
}

async function* pages<T extends { readonly next_page_token: string }>(
  read: (page: { readonly page_size: number; readonly page_token: string }) => Promise<T>,
  purpose: CallOptions['purpose'],
): AsyncGenerator<T> {
  let page_token = ''
  for (let count = 0; count < MAX_PAGES; count++) {
    const answer = await read({ page_size: PAGE, page_token })
    yield answer
    if (answer.next_page_token === '') return
    if (answer.next_page_token === page_token) break
    page_token = answer.next_page_token
  }
  throw malformed(purpose, new Error('the list does not end'))
}

/** All entries of one SPIFFE ID, or all there are. Ends normally only when that was all. */
export async function* entriesOf(
  server: Server,
  id: SpiffeId | undefined,
  { signal }: ReadOptions,
): AsyncGenerator<readonly Entry[]> {
  const purpose = purposes.listEntries
  const filter = id && { filter: { by_spiffe_id: id } }
  const read = async (at: object) => {
    const request = { ...filter, output_mask: mask, ...at }
    return parse(page, await server.call(methods.listEntries, request, { purpose, signal }), purpose)
  }
  for await (const { entries } of pages(read, purpose)) {
    if (id && entries.some((each) => textOf(each.spiffe_id) !== textOf(id)))
      throw malformed(purpose, new Error('an entry of another SPIFFE ID'))
    yield entries
  }
}

/** SPIFFE IDs of the nodes that are banned: nothing below them gets an SVID. */
export async function bannedAgents(server: Server, { signal }: ReadOptions): Promise<ReadonlySet<string>> {
  const purpose = purposes.listAgents
  const banned = new Set<string>()
  const read = async (at: object) => {
    const request = { filter: { by_banned: { value: true } }, output_mask: {}, ...at }
    return parse(agents, await server.call(methods.listAgents, request, { purpose, signal }), purpose)
  }
  for await (const each of pages(read, purpose)) for (const { id } of each.agents) banned.add(textOf(id))
  return banned
}

import { z } from 'zod'
import { type Answer, bodyOf, type Daemon, refused, type Where, withDaemon } from './client.ts'
import { usage } from './files.ts'
import { type Io, paint } from './io.ts'
import { limitOf, list } from './paging.ts'
import { plain, table } from './table.ts'

export interface HoldOptions extends Where {
  readonly json?: boolean
}

export interface PlaceOptions extends HoldOptions {
  readonly severity: string
  readonly reason?: string
  readonly publicReason?: string
  readonly onBehalfOf?: string
}

/** What this version shows of a hold; `--json` prints all that the daemon tells. */
export const holdForm = z.looseObject({
  id: z.string(),
  did: z.string(),
  origin: z.string(),
  severity: z.string(),
  placedAt: z.string(),
  releasedAt: z.string().nullable(),
  releasableAt: z.string().nullable(),
  guarded: z.boolean(),
  receipt: z.string(),
  reason: z.string().optional(),
})
export type HoldBody = z.output<typeof holdForm>

const held = z.looseObject({ did: z.string(), holds: z.array(holdForm) })
const awaiting = z.object({ releaseId: z.string(), status: z.literal('awaiting') })
const freed = z.looseObject({ did: z.string(), status: z.string().optional(), holds: z.array(holdForm).optional() })
const pathOf = (did: string): string => `/v1/agents/${encodeURIComponent(did)}/holds`

/** All holds of one agent, or the open ones of every agent that is suspended. Returns the exit code. */
export const holdsList = (
  io: Io,
  did: string | undefined,
  options: HoldOptions & { readonly limit: string },
): Promise<number> =>
  withDaemon(io, options, async (daemon) => {
    const limit = limitOf(options.limit)
    const found = did === undefined ? await openHolds(daemon, limit) : await holdsOf(daemon, did, limit)
    if (!('items' in found)) return refused(io, found)
    if (options.json) {
      io.out(JSON.stringify(found, null, 2))
      return 0
    }
    const rows = found.items.map((one) => [
      one.did,
      one.id,
      one.severity,
      one.origin,
      one.placedAt,
      stateOf(one),
      one.reason ?? '-',
    ])
    table(io, ['DID', 'HOLD', 'SEVERITY', 'ORIGIN', 'PLACED', 'STATE', 'REASON'], rows)
    if (found.nextCursor !== null) io.err(`There are more: --limit ${2 * limit} shows them.`)
    return 0
  })

const holdsOf = (daemon: Daemon, did: string, limit: number) =>
  list(daemon, pathOf(did), {}, holdForm, Math.min(limit, 1_000))

const openHolds = async (daemon: Daemon, limit: number) => {
  const found = await list(daemon, '/v1/agents', { status: 'suspended' }, held, limit)
  if (!('items' in found)) return found
  return { items: found.items.flatMap(({ holds }) => holds), nextCursor: found.nextCursor }
}

export const stateOf = ({ guarded, releasableAt, releasedAt }: HoldBody): string => {
  if (releasedAt !== null) return `released ${releasedAt}`
  if (releasableAt !== null) return 'waits for a release'
  return guarded ? 'open, guarded' : 'open'
}

const because = (reason: string | undefined): string => {
  if (reason !== undefined && reason !== '') return reason
  throw usage('Why was not said.', 'Add --reason: it stands in the audit log and is for operators.')
}

/** Suspends an agent. Returns the exit code. */
export const holdsPlace = (io: Io, did: string, options: PlaceOptions): Promise<number> => {
  const { onBehalfOf, publicReason, severity } = options
  const body = { severity, reason: because(options.reason), publicReason, onBehalfOf }
  return withDaemon(io, options, async (daemon) => {
    const answer = await daemon.post(pathOf(did), body)
    if (!answer.ok) return refused(io, answer)
    const hold = bodyOf(holdForm, answer)
    if (options.json) {
      io.out(JSON.stringify(answer.body, null, 2))
      return 0
    }
    const { bold, red } = paint(io)
    io.out(`${red('held')}: every decision for ${bold(plain(hold.did))} is deny from ${hold.placedAt} on`)
    io.out(`  hold     ${hold.id} (${hold.severity})`)
    io.out(`  receipt  ${daemon.origin}${hold.receipt}`)
    io.out(`  release  idp-bridge holds release ${hold.did} ${hold.id} --reason …`)
    return 0
  })
}

/** Releases a hold, or asks for it: a kill and an override take a second person. Returns the exit code. */
export const holdsRelease = (
  io: Io,
  did: string,
  holdId: string,
  options: HoldOptions & { readonly reason?: string },
): Promise<number> => {
  const body = { reason: because(options.reason) }
  return withDaemon(io, options, async (daemon) => {
    const path = `${pathOf(did)}/${encodeURIComponent(holdId)}/release`
    return told(io, daemon, await daemon.post(path, body), options)
  })
}

/** The second person's part. Returns the exit code. */
export const holdsApprove = (io: Io, releaseId: string, options: HoldOptions): Promise<number> =>
  withDaemon(io, options, async (daemon) =>
    told(io, daemon, await daemon.post(`/v1/releases/${encodeURIComponent(releaseId)}/approve`), options),
  )

const told = (io: Io, daemon: Daemon, answer: Answer, { json }: HoldOptions): number => {
  if (!answer.ok) return refused(io, answer)
  const waits = awaiting.safeParse(answer.body)
  const { bold, green, yellow } = paint(io)
  if (json) io.out(JSON.stringify(answer.body, null, 2))
  else if (waits.success) {
    io.out(`${yellow('awaiting')}: the hold stays until a second person, who did not place it, runs`)
    io.out(`  idp-bridge holds approve ${waits.data.releaseId} --url ${daemon.origin}`)
    io.out('  with IDP_BRIDGE_TOKEN set to a token of their own (role approver or operator)')
  } else {
    const { did, holds = [] } = bodyOf(freed, answer)
    io.out(`${green('released')}: ${bold(plain(did))}`)
    if (holds.length === 0) io.out('  no hold is left: decisions follow its capabilities again')
    for (const one of holds) io.out(`  still held by ${one.id} (${one.severity}, ${plain(one.origin)})`)
  }
  return 0
}

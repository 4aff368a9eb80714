import { type Io, paint } from '../../src/cli/io.ts'
import { version } from '../../src/cli/version.ts'
import { BridgeError } from '../../src/core/errors.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { createOutbound } from '../../src/lib/outbound.ts'

/** Which running local directory, and how the command line calls it. */
export interface Where {
  readonly url: string
  readonly directory: string
}

const call = async (where: Where, method: string, path: string, body?: unknown): Promise<unknown> => {
  const outbound = createOutbound({ userAgent: `idp-bridge/${version}`, clock: systemClock })
  try {
    const base = new URL(where.url)
    const fetch = outbound.origin([base.origin], { timeoutMs: 10_000, maxBytes: 16 * 1024 * 1024 })
    const response = await fetch(new URL(`/_sandbox/${path}`, base), {
      method,
      signal: AbortSignal.timeout(10_000),
      ...(body !== undefined && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    })
    const text = await response.text()
    if (response.ok) return text === '' ? undefined : JSON.parse(text)
    throw new BridgeError('E_USAGE', `The local ${where.directory} directory says no: ${text.slice(0, 300)}`, {
      hint: `See: sandbox ${where.directory} list`,
    })
  } catch (error) {
    if (!(error instanceof BridgeError) || error.code !== 'E_OUTBOUND_NETWORK') throw error
    throw new BridgeError('E_UNREACHABLE', `No local ${where.directory} directory listens at ${where.url}.`, {
      cause: error,
      hint: 'Start one with: npm start',
    })
  } finally {
    await outbound.close()
  }
}

interface Row {
  readonly id: string
  readonly enabled: boolean
  readonly label?: string
  readonly properties?: { readonly displayName?: string }
  /** Where there is more to say than on or off. */
  readonly status?: string
}

const isRow = (value: unknown): value is Row =>
  typeof value === 'object' && value !== null && 'id' in value && 'enabled' in value

export const list = async (io: Io, options: Where & { readonly json?: boolean }, path: string): Promise<void> => {
  const rows = await call(options, 'GET', path)
  if (options.json || !Array.isArray(rows)) return io.out(JSON.stringify(rows, null, 2))
  const { green, red } = paint(io)
  for (const row of rows.filter(isRow)) {
    const { id, enabled, label = row.properties?.displayName ?? '', status } = row
    const state = enabled ? green('enabled ') : red('disabled')
    io.out(`${id}  ${state}  ${label}${status === undefined ? '' : `  ${status}`}`)
  }
}

export const show = async (io: Io, id: string, options: Where): Promise<void> => {
  io.out(JSON.stringify(await call(options, 'GET', `objects/${encodeURIComponent(id)}`), null, 2))
}

export const flip = async (io: Io, name: string, id: string, options: Where): Promise<void> => {
  await call(options, 'POST', `objects/${encodeURIComponent(id)}/${name}`, {})
  io.out(`${name}: ${id}`)
}

export const membership = async (
  io: Io,
  name: 'join' | 'leave',
  group: string,
  id: string,
  options: Where,
): Promise<void> => {
  const action = name === 'join' ? 'members' : 'removeMember'
  await call(options, 'POST', `groups/${encodeURIComponent(group)}/${action}`, { memberId: id })
  io.out(`${name}: ${id} ${name === 'join' ? 'is in' : 'left'} ${group}`)
}

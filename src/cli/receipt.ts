import { z } from 'zod'
import { canonical } from '../core/canonical.ts'
import { legStates } from '../core/receipts.ts'
import { receiptType } from '../engine/receipts.ts'
import { type JwsFault, openStrict, type VerifyKey } from '../lib/jws.ts'
import { parseSound } from '../lib/names.ts'
import { contents, pemKeys, setKeys, given as textOf, usage } from './files.ts'
import { type Io, paint } from './io.ts'

export interface ReceiptOptions {
  readonly jwks: readonly string[]
  readonly key: readonly string[]
  readonly json?: boolean
}

const time = z.string().nullable()
/** What is shown of a receipt; a later version may have more. */
const shown = z.object({
  version: z.literal(1),
  iss: z.string(),
  iat: z.int().min(0).max(253_402_300_799),
  did: z.string(),
  hold: z.object({ id: z.string(), origin: z.string(), severity: z.string(), placedAt: z.string(), releasedAt: time }),
  status: z.enum(['closed', 'partial', 'open']),
  legs: z.array(
    z.discriminatedUnion('type', [
      z.object({
        type: z.literal('account'),
        adapter: z.string(),
        id: z.string(),
        state: z.enum(legStates),
        reason: z.string(),
        error: z.string().nullable(),
        closedAt: time,
      }),
      z.object({
        type: z.literal('runtime'),
        client: z.string(),
        state: z.enum(legStates),
        reason: z.string(),
        closedAt: time,
      }),
      z.object({ type: z.literal('descendant'), did: z.string(), state: z.enum(legStates), closedAt: time }),
    ]),
  ),
  descendants: z.object({ total: z.int(), listed: z.int() }),
})
type Shown = z.output<typeof shown>

type Fault = JwsFault | 'unsigned' | 'json' | 'payload' | 'differs'

const told: Readonly<Record<Fault, string>> = {
  form: 'it is not a compact JWS',
  algorithm: 'it is not signed with EdDSA',
  type: 'what is signed is not a receipt',
  header: 'its header has members that no receipt of a bridge has',
  key: 'it is not signed by any of these keys',
  signature: 'the signature does not fit: it was altered, or signed by somebody else',
  unsigned: 'it is not signed',
  json: 'it is not JSON, or names a member twice',
  payload: 'what is signed is not a receipt that this release knows',
  differs: 'what stands beside the signature is not what was signed',
}

interface Given {
  readonly jws: string
  /** Canonical JSON of what stands beside the signature. */
  readonly beside: string | undefined
}

const given = (text: string): Given | Fault => {
  if (!text.startsWith('{')) return { jws: text, beside: undefined }
  let value: unknown
  try {
    value = parseSound(text)
  } catch {
    return 'json'
  }
  if (typeof value !== 'object' || value === null) return 'json'
  const { jws, ...beside }: { jws?: unknown } = value
  return typeof jws === 'string' ? { jws, beside: canonical(beside) } : 'unsigned'
}

const check = async (
  text: string,
  keys: readonly VerifyKey[],
): Promise<{ receipt: Shown; payload: string; kid: string } | Fault> => {
  const parts = given(text.trim())
  if (typeof parts === 'string') return parts
  const opened = await openStrict(parts.jws, receiptType, keys)
  if (opened.fault !== undefined) return opened.fault
  const receipt = parsed(opened.payload)
  if (receipt === undefined) return 'payload'
  if (parts.beside !== undefined && parts.beside !== opened.payload) return 'differs'
  return { receipt, payload: opened.payload, kid: opened.kid }
}

/** The bridge signs canonical JSON and nothing else: then there is one way to read it. */
const parsed = (payload: string): Shown | undefined => {
  try {
    const value: unknown = JSON.parse(payload)
    return canonical(value) === payload ? shown.parse(value) : undefined
  } catch {
    return undefined
  }
}

/** No control character of a name reaches the terminal. */
const plain = (text: string): string => text.replaceAll(/\p{C}/gu, '�')

const table = (receipt: Shown): string[] => {
  const rows = receipt.legs.map((leg) => {
    const name = leg.type === 'account' ? `${leg.adapter}/${leg.id}` : leg.type === 'runtime' ? leg.client : leg.did
    const why = leg.type === 'descendant' ? '' : leg.reason
    const error = leg.type === 'account' && leg.error !== null ? ` (${leg.error})` : ''
    return [leg.state, leg.type, name, leg.closedAt ?? '—', `${why}${error}`].map(plain)
  })
  const widths = [0, 1, 2, 3].map((column) => Math.max(0, ...rows.map((row) => (row[column] ?? '').length)))
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  )
}

/**
 * Checks a receipt without asking anybody: the signature by the given keys alone, and that what stands beside it is what
 * was signed. Returns the exit code.
 */
export const receiptVerify = async (io: Io, file: string, options: ReceiptOptions): Promise<number> => {
  const keys = [
    ...options.jwks.flatMap((file) => setKeys(contents(file, `The key set ${file}`), file)),
    ...(await Promise.all(options.key.map(pemKeys))).flat(),
  ]
  if (keys.length === 0) {
    throw usage(
      'No key to verify with was given.',
      'Use --jwks jwks.json (from /.well-known/jwks.json) or --key ed25519.pem.',
    )
  }
  const text = textOf(file)
  const result = await check(text, keys)
  const { bold, dim, green, red } = paint(io)
  if (typeof result === 'string') {
    if (options.json) io.out(JSON.stringify({ valid: false, fault: result }))
    else io.out(`${red('not valid')}: ${told[result]}`)
    return 70
  }
  const { receipt, payload, kid } = result
  if (options.json) {
    io.out(JSON.stringify({ valid: true, kid, receipt: JSON.parse(payload) }))
    return 0
  }
  const { hold, descendants } = receipt
  io.out(
    `${green('valid')}: signed by ${plain(receipt.iss)} at ${new Date(receipt.iat * 1000).toISOString()}, key ${plain(kid)}`,
  )
  io.out(`${bold(plain(receipt.did))} ${plain(hold.severity)} by ${plain(hold.origin)}, placed ${plain(hold.placedAt)}`)
  if (hold.releasedAt !== null) io.out(`released ${plain(hold.releasedAt)}; the legs are as they were then`)
  io.out(`status ${bold(receipt.status)}`)
  for (const line of table(receipt)) io.out(`  ${line}`)
  const more = descendants.total - descendants.listed
  if (more > 0) io.out(dim(`  and ${more} more descendants`))
  return 0
}

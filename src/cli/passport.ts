import { z } from 'zod'
import type { PassportCheck } from '../core/passport.ts'
import { systemClock } from '../lib/clock.ts'
import { verifyPassport } from '../lib/passport.ts'
import { bodyOf, refused, type Where, withDaemon } from './client.ts'
import { given, pemKeys, setKeys, usage } from './files.ts'
import { type Io, paint } from './io.ts'
import { sourceText } from './sources.ts'

export interface IssueOptions extends Where {
  readonly lifetime?: string
  readonly audience?: string
  readonly capability: readonly string[]
  readonly key?: string
  readonly json?: boolean
}

export interface VerifyOptions {
  readonly jwks: readonly string[]
  readonly key: readonly string[]
  readonly revoked?: string
  /** False: the status is not looked at, and the answer says so. */
  readonly statusList?: string | false
  readonly issuer?: string
  readonly audience?: string
  readonly json?: boolean
}

const issued = z.object({ passport: z.string(), jti: z.string(), expiresAt: z.string() })

/** Whole seconds of `90s`, `15m` or `1h`. */
const secondsOf = (text: string): number => {
  const [, amount, unit = ''] = /^(\d{1,6})([smh])$/.exec(text) ?? []
  const scale: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600 }
  const seconds = Number(amount) * (scale[unit] ?? Number.NaN)
  if (seconds >= 1 && seconds <= 3_600) return seconds
  throw usage(`${text} is no lifetime of a passport.`, 'Use a whole number and a unit, up to an hour: 90s, 15m, 1h.')
}

/** Prints the passport alone, to be piped; with `--json` what the daemon answered. Returns the exit code. */
export const passportIssue = async (io: Io, did: string, options: IssueOptions): Promise<number> => {
  const { audience, capability, key, lifetime } = options
  const body = {
    ...(lifetime !== undefined && { lifetimeSeconds: secondsOf(lifetime) }),
    ...(audience !== undefined && { audience }),
    ...(capability.length > 0 && { capabilities: capability }),
    ...(key !== undefined && { key }),
  }
  return withDaemon(io, options, async (daemon) => {
    const answer = await daemon.post(`/v1/agents/${encodeURIComponent(did)}/passport`, body)
    if (!answer.ok) return refused(io, answer)
    const { expiresAt, jti, passport } = bodyOf(issued, answer)
    if (options.json) {
      io.out(JSON.stringify(answer.body))
      return 0
    }
    io.out(passport)
    io.err(`passport ${jti}, good until ${expiresAt}`)
    return 0
  })
}

const revokedSet = z.object({ revoked: z.array(z.object({ kid: z.string() })) })

const kidsOf = (text: string, named: string): string[] => {
  try {
    return revokedSet.parse(JSON.parse(text)).revoked.map(({ kid }) => kid)
  } catch (cause) {
    throw usage(`${named} is no list of revoked keys.`, 'It is /.well-known/jwks-revoked.json of the bridge.', cause)
  }
}

const labels: Readonly<Record<PassportCheck, string>> = {
  signature: 'signature',
  claims: 'claims',
  key: 'key',
  issuer: 'issuer',
  audience: 'audience',
  time: 'time',
  list: 'status list',
  listTime: 'list time',
  status: 'status',
  released: 'released',
}

/** No control character of a name reaches the terminal. */
const plain = (text: string): string => text.replaceAll(/\p{C}/gu, '�')

/**
 * Checks a passport by what is named here and nothing else: the keys, the status list and the revoked keys are files or
 * URLs that the caller gives; what the passport points at is fetched from nowhere. Returns the exit code: 0 valid, 70 not.
 */
export const passportVerify = async (
  io: Io,
  file: string,
  options: VerifyOptions,
  now = systemClock.now(),
): Promise<number> => {
  const { audience, issuer, revoked, statusList } = options
  if (options.jwks.length + options.key.length === 0) {
    throw usage('No key to verify with was given.', 'Use --jwks with a file or https://…/.well-known/jwks.json.')
  }
  if (statusList === undefined) {
    throw usage(
      'Whether the agent is suspended was not asked for.',
      'Use --status-list with a file or the address of the list, or --no-status-list to go without.',
    )
  }
  const sets = await Promise.all(options.jwks.map(async (one) => setKeys(await sourceText(io, one), one)))
  const keys = [...sets.flat(), ...(await Promise.all(options.key.map(pemKeys))).flat()]
  const taken = revoked === undefined ? undefined : kidsOf(await sourceText(io, revoked), revoked)
  const list = statusList === false ? undefined : (await sourceText(io, statusList)).trim()
  const terms = { keys, revoked: taken, statusList: list, now, issuer, audience }
  const { checks, passport, valid } = await verifyPassport(given(file).trim(), terms)

  if (options.json) {
    io.out(
      JSON.stringify({
        valid,
        keyChecked: taken !== undefined,
        statusChecked: list !== undefined,
        checks,
        passport: passport ?? null,
      }),
    )
    return valid ? 0 : 70
  }
  const { bold, dim, green, red, yellow } = paint(io)
  io.out(valid ? green('valid') : red('not valid'))
  for (const { check, ok, text } of checks) {
    io.out(`  ${ok ? green('ok') : red('no')}  ${labels[check].padEnd(12)} ${plain(text)}`)
  }
  const unseen = [...(taken === undefined ? [labels.key] : []), ...(list === undefined ? [labels.status] : [])]
  for (const label of unseen) io.out(`  ${yellow('--')}  ${label.padEnd(12)} not looked at`)
  if (passport === undefined) return 70
  const { capabilities, delegation, name, principals, sub } = passport
  io.out(`${bold(plain(sub))} ${plain(name)}`)
  for (const { adapter, id, kind } of principals) io.out(dim(plain(`  ${kind} ${adapter}/${id}`)))
  io.out(plain(`  may ${capabilities.length === 0 ? 'nothing' : capabilities.join(', ')}`))
  if (delegation.length > 1)
    io.out(
      plain(
        `  under ${delegation
          .slice(0, -1)
          .map(({ did }) => did)
          .join(' > ')}`,
      ),
    )
  if (passport.cnf === undefined) io.out(dim('  bound to no key: whoever has it may show it'))
  else io.out(`  ask for a proof of the key ${plain(passport.cnf.jwk.x)}`)
  return valid ? 0 : 70
}

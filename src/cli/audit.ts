import { readFileSync } from 'node:fs'
import { BridgeError } from '../core/errors.ts'
import { verifyAudit } from '../engine/auditing.ts'
import { openHead } from '../engine/heads.ts'
import { openStoreReadonly } from '../store/index.ts'
import { readConfig } from './config.ts'
import { type Io, paint } from './io.ts'

export interface AuditOptions {
  readonly config?: string
  readonly store?: string
  readonly head?: string
  readonly key?: string
  readonly json?: boolean
}

/**
 * Walks the chain in the database itself, beside a running daemon. Without a signed head from outside the store the
 * tail is unproven: entries cut off the end would leave a chain that still holds.
 */
export const auditVerify = async (io: Io, options: AuditOptions): Promise<number> => {
  const configured =
    options.store === undefined || options.config !== undefined ? readConfig(io, options.config).config : undefined
  const url = options.store ?? configured?.store.url ?? ''
  const listed = configured?.signing.keys.map((key) => key.read()) ?? []
  const named = options.key === undefined ? [] : [keyIn(options.key)]
  const keys = options.key === undefined ? listed : named
  const store = await openStoreReadonly(url)
  try {
    const result = await verifyAudit(store, [...named, ...listed])
    const { checkpoint } = result
    const tail = await tailOf(options.head, keys, checkpoint?.seq ?? 0, (seq) =>
      checkpoint?.seq === seq
        ? Promise.resolve(checkpoint.hash)
        : store.audit({ after: seq - 1, limit: 1 }).then(([entry]) => entry?.hash),
    )
    const ok = result.ok && tail !== 'broken'
    if (options.json) io.out(JSON.stringify({ ...result, ok, tail }))
    else {
      const { green, red, yellow } = paint(io)
      const text = {
        proven: green('tail proven'),
        unproven: yellow('tail unproven'),
        broken: red('tail broken: entries after the signed head are missing or differ'),
      }
      if (result.fault === undefined) io.out(`${green('chain holds')}: ${result.entries} entries, head ${result.head}`)
      else
        io.out(
          `${red('chain broken')} at entry ${result.fault.seq} (${result.fault.fault}); ${result.entries} entries before it hold`,
        )
      if (checkpoint !== undefined) {
        const from = `begins behind entry ${checkpoint.seq}, pruned ${new Date(checkpoint.at).toISOString()}`
        io.out(result.begin === 'proven' ? green(`begin proven: ${from}`) : yellow(`begin ${result.begin}: ${from}`))
      }
      io.out(text[tail])
    }
    return ok ? 0 : 70
  } finally {
    await store.close()
  }
}

const keyIn = (file: string): string => {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw new BridgeError('E_USAGE', `The key file ${file} cannot be read.`, {
      cause,
      hint: 'Name the PEM file with --key.',
    })
  }
}

const tailOf = async (
  jws: string | undefined,
  keys: readonly string[],
  pruned: number,
  hashAt: (seq: number) => Promise<string | undefined>,
): Promise<'proven' | 'unproven' | 'broken'> => {
  if (jws === undefined) return 'unproven'
  if (keys.length === 0)
    throw new BridgeError('E_USAGE', 'A signed head needs the key that signed it.', { hint: 'Add --key ed25519.pem.' })
  const head = await openHead(jws, keys)
  if (head === undefined) {
    throw new BridgeError('E_USAGE', 'The head is not signed by any of these keys.', {
      hint: 'Take auditHeadSigned from the log line as it is.',
    })
  }
  if (head.seq === 0) return 'proven'
  if (head.seq < pruned) {
    throw new BridgeError('E_USAGE', `The entry that the head names was pruned, with all up to ${pruned}.`, {
      hint: 'Take a later auditHeadSigned from the log.',
    })
  }
  return (await hashAt(head.seq)) === head.hash ? 'proven' : 'broken'
}

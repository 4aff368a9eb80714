import { createHash, randomBytes } from 'node:crypto'

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

/** Prefixes of unique ids: role, user, long-term key, temporary key. */
type Prefix = 'AROA' | 'AIDA' | 'AKIA' | 'ASIA'

/** A unique id, 21 characters (keys 20); the same name gives the same id. */
export function uniqueId(prefix: Prefix, name?: string): string {
  const bytes = bytesOf(prefix, name)
  const length = prefix === 'AKIA' || prefix === 'ASIA' ? 16 : 17
  const tail = [...bytes].map((byte) => alphabet[byte % alphabet.length]).join('')
  return `${prefix}${tail.slice(0, length)}`
}

/** An id of the identity store: of a user, a group or a membership. */
export function storeObjectId(storeId: string, name?: string): string {
  return `${storeId.replace(/^d-/, '')}-${uuid(name)}`
}

/** The same name gives the same one. */
export function uuid(name?: string): string {
  const hex = bytesOf('uuid', name).toString('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), `4${hex.slice(13, 16)}`, `8${hex.slice(17, 20)}`, hex.slice(20, 32)].join(
    '-',
  )
}

function bytesOf(prefix: string, name: string | undefined): Buffer {
  return name === undefined ? randomBytes(32) : createHash('sha256').update(`${prefix} ${name}`).digest()
}

export function roleArn(accountId: string, path: string, name: string): string {
  return `arn:aws:iam::${accountId}:role${path}${name}`
}

/** Of a session: the path of the role is not in it. */
export function sessionArn(accountId: string, name: string, session: string): string {
  return `arn:aws:sts::${accountId}:assumed-role/${name}/${session}`
}

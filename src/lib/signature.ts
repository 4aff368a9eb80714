import { constants, type KeyObject, verify } from 'node:crypto'
import { availableParallelism } from 'node:os'
import type { Soon } from './soon.ts'

/**
 * Whether the signature over the data is this key's (RFC 7515 §5.2, RFC 7518 §3, RFC 8037 §3.1). The caller has seen to
 * it that the key fits the algorithm; one that is not in the table rejects. Nothing is thrown.
 */
export const signatureHolds = (alg: string, key: KeyObject, data: Buffer, signature: Buffer): Soon<boolean> => {
  const scheme = schemes.get(alg)
  if (!scheme) return Promise.reject(new TypeError(`no signature is checked by "${alg}"`))
  if (scheme.length !== undefined && signature.length !== scheme.length) return false
  const { hash, pss } = scheme
  if (pss && signature.length !== modulusLength(key)) return false
  const work: Work = {
    hash,
    key: pss ? { key, ...pss } : key,
    data,
    signature: scheme.ecdsa ? ecdsaDer(signature) : signature,
  }
  if (isFirst()) return atOnce(work)
  return new Promise((resolve, reject) => {
    submit({ work, cost: scheme.cost, resolve, reject })
  })
}

/** RFC 8017 §8.1.2 step 1, which OpenSSL leaves out for PSS alone: it takes a signature without its leading zero. */
const modulusLength = (key: KeyObject): number => Math.ceil((key.asymmetricKeyDetails?.modulusLength ?? 0) / 8)

/**
 * r and s side by side (RFC 7518 §3.4) as the ASN.1 that OpenSSL takes. Node converts it too, but with `dsaEncoding` the key
 * cannot be handed over as it is, and that costs half a verification (measured on Node 24).
 */
const ecdsaDer = (signature: Buffer): Buffer => {
  const half = signature.length / 2
  const r = integerAt(signature, 0, half)
  const s = integerAt(signature, half, signature.length)
  const length = 4 + r.length + s.length
  const head = length < 0x80 ? [0x30, length] : [0x30, 0x81, length]
  const der = Buffer.allocUnsafe(head.length + length)
  der.set(head)
  putInteger(der, head.length, signature, r)
  putInteger(der, head.length + 2 + r.length, signature, s)
  return der
}

/** A number without its leading zeros, and its length in ASN.1: a zero before a digit that would make it negative. */
interface Integer {
  readonly from: number
  readonly to: number
  readonly length: number
}

const integerAt = (bytes: Buffer, start: number, to: number): Integer => {
  let from = start
  while (from < to - 1 && bytes[from] === 0) from += 1
  return { from, to, length: to - from + ((bytes[from] ?? 0) >= 0x80 ? 1 : 0) }
}

const putInteger = (der: Buffer, at: number, bytes: Buffer, { from, to, length }: Integer): void => {
  der[at] = 0x02
  der[at + 1] = length
  der[at + 2] = 0
  bytes.copy(der, at + 2 + length - (to - from), from, to)
}

/** As shares of a turn of this thread, and how many must be there before handing one to another thread pays. */
interface Cost {
  readonly shares: number
  readonly crowd: number
}

const short: Cost = { shares: 1, crowd: 16 }
const long: Cost = { shares: 4, crowd: 2 }

interface Scheme {
  readonly hash: string | null
  readonly pss?: { readonly padding: number; readonly saltLength: number }
  readonly ecdsa?: true
  /** Bytes of every signature; for RSA the key says it. */
  readonly length?: number
  readonly cost: Cost
}

const rsa = (bits: number): Scheme => ({ hash: `sha${bits}`, cost: short })
const pss = (bits: number): Scheme => ({
  hash: `sha${bits}`,
  pss: { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: bits / 8 },
  cost: short,
})
const ecdsa = (bits: number, length: number): Scheme => ({
  hash: `sha${bits}`,
  ecdsa: true,
  length,
  cost: long,
})
const ed25519: Scheme = { hash: null, length: 64, cost: long }

const schemes: ReadonlyMap<string, Scheme> = new Map([
  ['RS256', rsa(256)],
  ['RS384', rsa(384)],
  ['RS512', rsa(512)],
  ['PS256', pss(256)],
  ['PS384', pss(384)],
  ['PS512', pss(512)],
  ['ES256', ecdsa(256, 64)],
  ['ES384', ecdsa(384, 96)],
  ['ES512', ecdsa(512, 132)],
  ['EdDSA', ed25519],
  ['Ed25519', ed25519],
])

interface Work {
  readonly hash: string | null
  readonly key: Parameters<typeof verify>[2]
  readonly data: Buffer
  readonly signature: Buffer
}

interface Job {
  readonly work: Work
  readonly cost: Cost
  resolve(holds: boolean): void
  reject(error: unknown): void
}

/**
 * One signature alone is checked right here: the way to another thread and back costs more than an RSA signature, and
 * half of any other. It is so at once, for the first that is asked cannot know of others. What else is asked in the same
 * turn and is a crowd goes to other threads; this one checks what they have no room for, a few a turn, so that whatever else
 * is due gets its turn too. Process-wide, as the threads are.
 */
const sharesOfTurn = 16
/** Ahead of what the threads can do while this one is at its share: where they run dry, a core stands idle. */
const room = Math.min(4, availableParallelism() - 1) * 48
let waiting: Job[] = []
let running = 0
let pumping = false
let turnIsNew = true
const settled = Promise.resolve()
const renew = (): void => {
  turnIsNew = true
}

const isFirst = (): boolean => {
  if (!turnIsNew || pumping || running > 0) return false
  turnIsNew = false
  // Behind whoever else has something to ask in this turn.
  void settled.then(renew)
  return true
}

const atOnce = ({ hash, key, data, signature }: Work): Soon<boolean> => {
  try {
    return verify(hash, data, key, signature)
  } catch (error) {
    return Promise.reject(error)
  }
}

const submit = (job: Job): void => {
  waiting.push(job)
  if (pumping) return
  pumping = true
  // Calls made in the same turn are seen together. What other threads have done is only heard of in another turn.
  if (running === 0) queueMicrotask(pump)
  else setImmediate(pump)
}

const pump = (): void => {
  pumping = false
  fill()
  let shares = 0
  let mine = 0
  for (const { cost } of waiting) {
    if (shares >= sharesOfTurn) break
    shares += cost.shares
    mine += 1
  }
  const taken = waiting.slice(0, mine)
  waiting = waiting.slice(mine)
  for (const job of taken) here(job)
  if (waiting.length === 0) return
  pumping = true
  setImmediate(pump)
}

const fill = (): void => {
  const free = room - running
  if (free <= 0) return
  const crowd = waiting.length + running
  // From there on every one is worth it; of fewer each is asked.
  const worth = crowd >= short.crowd ? waiting.slice(0, free) : waiting.filter(({ cost }) => crowd >= cost.crowd)
  waiting = crowd >= short.crowd ? waiting.slice(free) : waiting.filter(({ cost }) => crowd < cost.crowd)
  for (const job of worth) elsewhere(job)
}

const here = ({ work: { hash, key, data, signature }, resolve, reject }: Job): void => {
  try {
    resolve(verify(hash, data, key, signature))
  } catch (error) {
    reject(error)
  }
}

const elsewhere = ({ work: { hash, key, data, signature }, resolve, reject }: Job): void => {
  try {
    verify(hash, data, key, signature, (error, holds) => {
      running -= 1
      if (error) reject(error)
      else resolve(holds)
      fill()
    })
    running += 1
  } catch (error) {
    reject(error)
  }
}

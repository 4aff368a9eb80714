import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'

/**
 * Tokens of clients: a prefix by which scanners of repositories find one, 256 random bits, and a checksum of both, so
 * that nothing else is taken for one. Letters and digits only, as a double click selects them.
 */
const PREFIX = 'idpb_'
const letters = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const BODY = 43
const CHECK = 6

/** What every one of them looks like; with the `g` flag, to be found in text. */
export const clientTokens: RegExp = /\bidpb_[0-9A-Za-z]{49}\b/g

const inLetters = (value: bigint, width: number): string => {
  let text = ''
  for (let left = value; text.length < width; left /= 62n) text = `${letters[Number(left % 62n)]}${text}`
  return text
}

const checkOf = (text: string): string => inLetters(BigInt(crc32(text)), CHECK)

/** @param random 32 bytes of it */
export const clientToken = (random: Uint8Array): string => {
  const text = PREFIX + inLetters(BigInt(`0x${Buffer.from(random).toString('hex')}`), BODY)
  return text + checkOf(text)
}

/** Whether it is one, going by its checksum. */
export const isClientToken = (text: string): boolean =>
  text.length === PREFIX.length + BODY + CHECK &&
  text.startsWith(PREFIX) &&
  checkOf(text.slice(0, -CHECK)) === text.slice(-CHECK)

/** As the configuration has it. */
export const sha256Of = (token: string): string => createHash('sha256').update(token).digest('hex')

const p = 2n ** 255n - 19n

const power = (base: bigint, exponent: bigint): bigint => {
  let result = 1n
  for (let square = base % p, left = exponent; left > 0n; left >>= 1n) {
    if ((left & 1n) === 1n) result = (result * square) % p
    square = (square * square) % p
  }
  return result
}

const d = ((p - 121665n) * power(121666n, p - 2n)) % p

/** `y` of two of the four points of order 8; that of the other two is `p - y`. */
const ofOrderEight = 0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd83d3d706a17c7n
const ofSmallOrder = new Set([0n, 1n, p - 1n, ofOrderEight, p - ofOrderEight])

/**
 * Whether 32 bytes are a point of edwards25519 in its one encoding (RFC 8032 §5.1.3) and not of small order. A point of
 * small order "verifies" one signature over many texts, and not every library refuses it.
 */
export const isCurvePoint = (bytes: Uint8Array): boolean => {
  if (bytes.length !== 32) return false
  const y = BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`) & (2n ** 255n - 1n)
  if (y >= p || ofSmallOrder.has(y)) return false
  const squared = (y * y) % p
  const x2 = ((squared + p - 1n) * power(d * squared + 1n, p - 2n)) % p
  return power(x2, (p - 1n) / 2n) === 1n
}

/** 32 of the 64 bits under which a state is remembered; the other half with another seed. */
export const hashOf = (bytes: Uint8Array, seed: number): number => {
  let hash = Math.imul(seed, 0x9e37_79b1) ^ bytes.length
  for (let at = 0; at < bytes.length; at++) {
    hash = Math.imul(hash ^ (bytes[at] ?? 0), 0x5bd1_e995)
    hash = (hash << 13) | (hash >>> 19)
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

const grown = (from: Uint32Array): Uint32Array<ArrayBuffer> => {
  const to = new Uint32Array(from.length * 2)
  to.set(from)
  return to
}

/** A set of 64-bit hashes in typed arrays, numbered in the order in which they came. */
export const createVisited = () => {
  let table = new Uint32Array(1 << 16)
  let high = new Uint32Array(1 << 15)
  let low = new Uint32Array(1 << 15)
  let size = 0

  const slotOf = (hi: number, lo: number): number => {
    const mask = table.length - 1
    for (let at = lo & mask; ; at = (at + 1) & mask) {
      const index = table[at] ?? 0
      if (index === 0 || (high[index - 1] === hi && low[index - 1] === lo)) return at
    }
  }

  const rehash = (): void => {
    table = new Uint32Array(table.length * 2)
    for (let index = 0; index < size; index++) table[slotOf(high[index] ?? 0, low[index] ?? 0)] = index + 1
  }

  return {
    get size() {
      return size
    },
    /** False when it was there already. */
    add: (hi: number, lo: number): boolean => {
      const slot = slotOf(hi, lo)
      if (table[slot] !== 0) return false
      if (size === high.length) {
        high = grown(high)
        low = grown(low)
      }
      high[size] = hi
      low[size] = lo
      size += 1
      table[slot] = size
      if (size * 2 > table.length) rehash()
      return true
    },
    /** Its number, or -1. */
    indexOf: (hi: number, lo: number): number => (table[slotOf(hi, lo)] ?? 0) - 1,
    is: (index: number, hi: number, lo: number): boolean => high[index] === hi && low[index] === lo,
  }
}

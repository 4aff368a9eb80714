/** 32 of the 64 bits under which a state is remembered, from its bytes at `begin` on; the other half with another seed. */
export const hashOf = (bytes: Uint8Array, seed: number, begin = 0): number => {
  let hash = Math.imul(seed, 0x9e37_79b1) ^ bytes.length
  for (let at = begin; at < bytes.length; at++) {
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

/** Which of some rows of up to 15 digits is nowhere less than which other. */
export const createRows = () => {
  const rows: Uint8Array[] = []
  const numbers = new Map<number, number>()
  let [covered, known, side] = [new Uint8Array(0), 0, 0]

  const isCovered = (one: number, by: number): boolean => {
    const [less, more] = [rows[one], rows[by]]
    return less !== undefined && more !== undefined && less.every((value, at) => value <= (more[at] ?? 0))
  }

  return {
    numberOf: (row: Uint8Array): number => {
      let key = 0
      for (let at = 0; at < row.length; at++) key = key * 10 + (row[at] ?? 0)
      const present = numbers.get(key)
      if (present !== undefined) return present
      numbers.set(key, rows.length)
      rows.push(row.slice())
      return rows.length - 1
    },
    isCovered: (one: number, by: number): boolean => {
      if (known !== rows.length) {
        ;[known, side] = [rows.length, rows.length]
        covered = new Uint8Array(side * side)
      }
      const at = one * side + by
      if (covered[at] === 0) covered[at] = isCovered(one, by) ? 1 : 2
      return covered[at] === 1
    },
  }
}

/**
 * A set of 64-bit hashes in typed arrays, numbered in the order in which they came, each with a number beside it: one is
 * there already when it is there with a number that covers its own.
 */
export const createVisited = (isCovered: (one: number, by: number) => boolean = (one, by) => one === by) => {
  let table = new Uint32Array(1 << 16)
  let high = new Uint32Array(1 << 15)
  let low = new Uint32Array(1 << 15)
  let beside = new Uint32Array(1 << 15)
  let [size, distinct, isNew] = [0, 0, true]

  /** The slot of what covers it, or an empty one. */
  const slotOf = (hi: number, lo: number, number: number): number => {
    const mask = table.length - 1
    isNew = true
    for (let at = lo & mask; ; at = (at + 1) & mask) {
      const index = table[at] ?? 0
      if (index === 0) return at
      if (high[index - 1] !== hi || low[index - 1] !== lo) continue
      isNew = false
      if (isCovered(number, beside[index - 1] ?? 0)) return at
    }
  }

  const rehash = (): void => {
    table = new Uint32Array(table.length * 2)
    const mask = table.length - 1
    for (let index = 0; index < size; index++) {
      let at = (low[index] ?? 0) & mask
      while (table[at] !== 0) at = (at + 1) & mask
      table[at] = index + 1
    }
  }

  return {
    get size() {
      return size
    },
    /** Hashes, whatever is beside them. */
    get distinct() {
      return distinct
    },
    /** False when it was there already. */
    add: (hi: number, lo: number, number = 0): boolean => {
      const slot = slotOf(hi, lo, number)
      if (table[slot] !== 0) return false
      if (size === high.length) {
        high = grown(high)
        low = grown(low)
        beside = grown(beside)
      }
      high[size] = hi
      low[size] = lo
      beside[size] = number
      size += 1
      if (isNew) distinct += 1
      table[slot] = size
      if (size * 2 > table.length) rehash()
      return true
    },
    /** Its number, or -1. */
    indexOf: (hi: number, lo: number): number => (table[slotOf(hi, lo, 0)] ?? 0) - 1,
    is: (index: number, hi: number, lo: number, number: number): boolean =>
      high[index] === hi && low[index] === lo && beside[index] === number,
  }
}

import { randomInt } from 'node:crypto'

/** A slot: two hashes of a name, and a place, from 1 on; 0 where nothing is. */
const width = 3
const fewestSlots = 64
const fullest = 0.7
/** Parts grow one by one, so that none of a million names waits for all of them to move. */
const partBits = 6

interface Part {
  slots: Uint32Array
  names: number
}

const emptyPart = (): Part => ({ slots: new Uint32Array(fewestSlots * width), names: 0 })

/** Places by name, without the names: a few may be found that are another name's. */
export interface NameTable {
  readonly bytes: number
  /** @param isMeant asked of each that is found, nearly always the only one */
  find(name: string, isMeant: (place: number) => boolean): number | undefined
  /** Beside whatever has that name already. */
  enter(name: string, place: number): void
  leave(name: string, place: number): void
}

/** Of a name some 18 to 35 bytes are kept, in memory that no collection walks through. */
export const createNameTable = (): NameTable => new HashedNames()

class HashedNames implements NameTable {
  // Nobody outside can choose names that fall on one slot.
  readonly #seeds = [randomInt(2 ** 32), randomInt(2 ** 32)] as const
  readonly #parts = Array.from({ length: 2 ** partBits }, emptyPart)
  /** Hashes of the name that is looked at, and the part it belongs to. */
  #first = 0
  #second = 0

  get bytes(): number {
    return this.#parts.reduce((sum, { slots }) => sum + slots.byteLength, 0)
  }

  find(name: string, isMeant: (place: number) => boolean): number | undefined {
    const { slots } = this.#partOf(name)
    const [first, second] = [this.#first, this.#second]
    const mask = slots.length / width - 1
    for (let slot = first & mask; ; slot = (slot + 1) & mask) {
      const place = slots[slot * width + 2] ?? 0
      if (place === 0) return undefined
      if (slots[slot * width] === first && slots[slot * width + 1] === second && isMeant(place)) return place
    }
  }

  enter(name: string, place: number): void {
    const part = this.#partOf(name)
    if (part.names + 1 > (part.slots.length / width) * fullest) grow(part)
    put(part.slots, this.#first, this.#second, place)
    part.names += 1
  }

  /** What stands behind it for want of this very slot moves up, so that no look ends too early. */
  leave(name: string, place: number): void {
    const part = this.#partOf(name)
    const { slots } = part
    const mask = slots.length / width - 1
    let gap = this.#first & mask
    while (slots[gap * width + 2] !== place || slots[gap * width] !== this.#first) {
      if (slots[gap * width + 2] === 0) return
      gap = (gap + 1) & mask
    }
    for (let slot = (gap + 1) & mask; slots[slot * width + 2] !== 0; slot = (slot + 1) & mask) {
      const home = (slots[slot * width] ?? 0) & mask
      if (((slot - home) & mask) < ((slot - gap) & mask)) continue
      slots.copyWithin(gap * width, slot * width, (slot + 1) * width)
      gap = slot
    }
    slots[gap * width + 2] = 0
    part.names -= 1
  }

  /** Two hashes of 32 bits each, their ends mixed as in MurmurHash3. */
  #partOf(name: string): Part {
    let [first, second]: readonly [number, number] = this.#seeds
    for (let n = 0; n < name.length; n += 1) {
      const code = name.charCodeAt(n)
      first = Math.imul(first ^ code, 0x9e3779b1)
      first = (first << 13) | (first >>> 19)
      second = Math.imul(second ^ code, 0x5f356495)
    }
    first = Math.imul(first ^ (first >>> 16), 0x85ebca6b) ^ Math.imul(second ^ (second >>> 13), 0xc2b2ae35)
    second = Math.imul(second ^ (second >>> 16), 0x85ebca6b) ^ Math.imul(first ^ (first >>> 13), 0xc2b2ae35)
    this.#first = first >>> 0
    this.#second = second >>> 0
    const part = this.#parts[this.#second >>> (32 - partBits)]
    if (part === undefined) throw new Error('a part outside of the table')
    return part
  }
}

const put = (slots: Uint32Array, first: number, second: number, place: number): void => {
  const mask = slots.length / width - 1
  let slot = first & mask
  while (slots[slot * width + 2] !== 0) slot = (slot + 1) & mask
  slots[slot * width] = first
  slots[slot * width + 1] = second
  slots[slot * width + 2] = place
}

const grow = (part: Part): void => {
  const old = part.slots
  const slots = new Uint32Array(old.length * 2)
  for (let at = 0; at < old.length; at += width) {
    const place = old[at + 2] ?? 0
    if (place !== 0) put(slots, old[at] ?? 0, old[at + 1] ?? 0, place)
  }
  part.slots = slots
}

import { createNameTable, type NameTable } from './nametable.ts'

/** Bytes of a piece of memory, and of what places are counted in. A text has as many whole steps as it needs. */
export const chunkBytes = 4 * 1024 * 1024
const stepBytes = 32
const stepsOfChunk = chunkBytes / stepBytes
/** In front of a text: its length. */
const headBytes = 4
const mostBytes = 256 * 1024

const stepsFor = (length: number): number => Math.ceil((headBytes + length) / stepBytes)

/** So little memory that it matters to nobody how much of it is in use. */
const fewChunks = 4

export interface PackedOptions<T> {
  /** Each once. The first is the value's own, and no other value's; the others may be of several. */
  readonly namesOf: (value: T) => readonly string[]
  /** For the texts; the table of their names comes on top. */
  readonly mostBytes: number
  readonly newTable?: () => NameTable
}

/**
 * Values by any of their names, as JSON in memory outside of the heap that is collected: a million of them cost no
 * collection, and one is found with as many looks into memory as among ten. Why not a library's:
 * docs/decisions/roster.md.
 */
export class PackedMap<T> {
  readonly #namesOf: (value: T) => readonly string[]
  readonly #mostChunks: number
  readonly #newTable: () => NameTable
  #table: NameTable
  #chunks: Buffer[] = []
  /** Steps of the last chunk that are taken. */
  #taken = stepsOfChunk
  /** Places that are free again, by their steps. */
  #free = new Map<number, number[]>()
  /** Steps of all values. */
  #used = 0
  #size = 0

  constructor({ namesOf, mostBytes, newTable = createNameTable }: PackedOptions<T>) {
    this.#namesOf = namesOf
    this.#mostChunks = Math.floor(mostBytes / chunkBytes)
    this.#newTable = newTable
    this.#table = newTable()
  }

  get size(): number {
    return this.#size
  }

  /** All that is held, whether it is in use or not. */
  get bytes(): number {
    return this.#chunks.length * chunkBytes + this.#table.bytes
  }

  /** Less than half of it is in use: values that all grow leave places behind which none of them fits into any more. */
  get isSparse(): boolean {
    const chunks = this.#chunks.length
    return chunks > fewChunks && this.#used * 2 < chunks * stepsOfChunk
  }

  /** The value that has this name; any of them, if several have it. */
  get(name: string): T | undefined {
    let value: T | undefined
    const found = this.#table.find(name, (place) => {
      value = this.#valueAt(place)
      return this.#namesOf(value).includes(name)
    })
    return found === undefined ? undefined : value
  }

  /** In place of the value of the same first name. @returns false when there is no room: then there is none of that name */
  set(value: T): boolean {
    const names = this.#namesOf(value)
    const [own] = names
    if (own === undefined) return false
    this.delete(own)
    const text = JSON.stringify(value)
    const length = Buffer.byteLength(text)
    const steps = stepsFor(length)
    const place = length > mostBytes ? undefined : this.#allot(steps)
    if (place === undefined) return false
    const [chunk, at] = this.#at(place)
    chunk.writeUInt32LE(length, at)
    chunk.write(text, at + headBytes, length)
    this.#size += 1
    this.#used += steps
    for (const name of names) this.#table.enter(name, place)
    return true
  }

  /** @param own the first of its names */
  delete(own: string): void {
    let names: readonly string[] = []
    const place = this.#table.find(own, (found) => {
      names = this.#namesOf(this.#valueAt(found))
      return names[0] === own
    })
    if (place === undefined) return
    for (const name of names) this.#table.leave(name, place)
    const [chunk, at] = this.#at(place)
    const steps = stepsFor(chunk.readUInt32LE(at))
    const free = this.#free.get(steps)
    if (free === undefined) this.#free.set(steps, [place])
    else free.push(place)
    this.#size -= 1
    this.#used -= steps
  }

  clear(): void {
    this.#table = this.#newTable()
    this.#chunks = []
    this.#taken = stepsOfChunk
    this.#free = new Map()
    this.#used = 0
    this.#size = 0
  }

  #at(place: number): [Buffer, number] {
    const chunk = this.#chunks[Math.floor((place - 1) / stepsOfChunk)]
    if (chunk === undefined) throw new Error('a place outside of the memory')
    return [chunk, ((place - 1) % stepsOfChunk) * stepBytes]
  }

  #valueAt(place: number): T {
    const [chunk, at] = this.#at(place)
    const from = at + headBytes
    return JSON.parse(chunk.toString('utf8', from, from + chunk.readUInt32LE(at)))
  }

  /** A place of so many steps: one that is free again, or a new one, if there is one. */
  #allot(steps: number): number | undefined {
    const again = this.#free.get(steps)?.pop()
    if (again !== undefined) return again
    if (this.#taken + steps > stepsOfChunk) {
      if (this.#chunks.length >= this.#mostChunks) return undefined
      this.#chunks.push(Buffer.allocUnsafeSlow(chunkBytes))
      this.#taken = 0
    }
    const place = (this.#chunks.length - 1) * stepsOfChunk + this.#taken + 1
    this.#taken += steps
    return place
  }
}

import { readFileSync, statSync } from 'node:fs'
import { inspect } from 'node:util'
import { BridgeError } from '../core/errors.ts'

/** The two things a file is asked for; handed in so that tests need no disk. Both throw when the file is unreadable. */
export interface Files {
  /** The whole file as UTF-8. */
  read(path: string): string
  /** Changes whenever the file was written or replaced, a symbolic link to it moved included. */
  stamp(path: string): string
}

/** The real disk. */
export const diskFiles: Files = {
  read: (path) => readFileSync(path, 'utf8'),
  stamp: (path) => {
    const stat = statSync(path, { bigint: true })
    return `${stat.dev}:${stat.ino}:${stat.mtimeNs}:${stat.size}`
  },
}

const MASK = '[secret]'
const MAX_CHARACTERS = 64 * 1024

/**
 * A secret by reference: a literal, or a file that is read again after it changed. It prints as `[secret]` however it is
 * printed; `read()` is the only way to the value.
 */
export class SecretRef {
  /** Where the value comes from: the file's path, undefined for a literal. Safe to print. */
  readonly path: string | undefined
  readonly #literal: string | undefined
  readonly #files: Files | undefined
  #stamp: string | undefined
  #value = ''

  private constructor(literal: string | undefined, path: string | undefined, files: Files | undefined) {
    this.#literal = literal
    this.path = path
    this.#files = files
  }

  static of(literal: string): SecretRef {
    return new SecretRef(literal, undefined, undefined)
  }

  /** Reads nothing yet. */
  static file(path: string, files: Files = diskFiles): SecretRef {
    return new SecretRef(undefined, path, files)
  }

  /** The present value, one trailing newline removed. Fails with `E_SECRET` (naming the path only) when it cannot be read. */
  read(): string {
    if (this.#literal !== undefined) return this.#literal
    const path = this.path ?? ''
    const files = this.#files ?? diskFiles
    try {
      const stamp = files.stamp(path)
      if (stamp !== this.#stamp) {
        // The stamp is taken first: a write between the two calls is then seen by the next read, never missed.
        const text = files.read(path)
        this.#value = text.replace(/\r?\n$/, '')
        this.#stamp = stamp
      }
    } catch (cause) {
      throw new BridgeError('E_SECRET', `cannot read the secret file ${path} (${reason(cause)})`, {
        hint: `make ${path} exist and readable by the user the bridge runs as`,
      })
    }
    if (this.#value === '') throw new BridgeError('E_SECRET', `the secret file ${path} is empty`)
    if (this.#value.length > MAX_CHARACTERS) throw new BridgeError('E_SECRET', `the secret file ${path} is over 64 KiB`)
    return this.#value
  }

  /** Whether both refer to the same thing: the same file, or equal literals. */
  equals(other: SecretRef): boolean {
    return this.path === other.path && this.#literal === other.#literal
  }

  toString(): string {
    return MASK
  }

  toJSON(): string {
    return MASK
  }

  [inspect.custom](): string {
    return MASK
  }
}

function reason(cause: unknown): string {
  return cause instanceof Error && 'code' in cause ? String(cause.code) : 'unreadable'
}

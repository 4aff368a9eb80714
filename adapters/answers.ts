import type { z } from 'zod'
import { BridgeError, codeOf } from '../src/core/errors.ts'

/** What a call was for: names it in errors. */
export interface Named {
  /** Completes "… answered 403 to …", e.g. `reading users`. */
  readonly what: string
}

/** What can be wrong with an answer whatever it says, as the failures of one directory. */
export function answersOf(directory: string) {
  /** An answer that cannot be what the directory means. */
  const malformed = ({ what }: Named, cause?: unknown): BridgeError =>
    new BridgeError('E_DIRECTORY_ANSWER', `${directory} gave a malformed answer to ${what}`, { cause })

  return {
    malformed,

    /** A failure of the transport as one of the directory's; an abort and a refused origin stay what they are. */
    transportError(error: unknown, purpose: Named): BridgeError {
      const known = error instanceof BridgeError ? error : undefined
      switch (codeOf(error)) {
        case 'E_OUTBOUND_TIMEOUT':
        case 'E_OUTBOUND_NETWORK':
          return new BridgeError('E_DIRECTORY_DOWN', `${directory} did not answer to ${purpose.what}`, { cause: error })
        case 'E_OUTBOUND_BODY':
        case 'E_OUTBOUND_REDIRECT':
          return malformed(purpose, error)
        default:
          return known ?? new BridgeError('E_BUG', `calling ${directory} failed at ${purpose.what}`, { cause: error })
      }
    },

    /** @throws BridgeError E_DIRECTORY_ANSWER */
    parse<T extends z.ZodType>(schema: T, value: unknown, purpose: Named): z.output<T> {
      const parsed = schema.safeParse(value)
      if (parsed.success) return parsed.data
      // Paths only: the values are the directory's.
      const at = parsed.error.issues.slice(0, 3).map((issue) => issue.path.join('.'))
      throw malformed(purpose, new Error(`unexpected at ${at.join(', ')}`))
    },
  }
}

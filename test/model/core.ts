import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

type Account = typeof import('../../src/core/account.ts')
type Confirm = typeof import('../../src/core/confirm.ts')
type Holds = typeof import('../../src/core/holds.ts')
type Lift = typeof import('../../src/core/lift.ts')
type Mirror = typeof import('../../src/core/mirror.ts')
type Next = typeof import('../../src/core/next.ts')
type Reads = typeof import('../../src/core/reads.ts')
type Sending = typeof import('../../src/core/sending.ts')

/** The rules under test: those of the sources, or of a copy with one of them changed. */
export type Core = Account & Confirm & Holds & Lift & Mirror & Next & Reads & Sending

const files = ['account', 'confirm', 'holds', 'lift', 'mirror', 'next', 'reads', 'sending']

/** @param dir a folder with the files of `src/core` */
export const loadCore = async (dir: string): Promise<Core> => {
  const parts = await Promise.all(files.map((file) => import(pathToFileURL(join(dir, `${file}.ts`)).href)))
  return Object.assign({}, ...parts)
}

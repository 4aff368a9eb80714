import { z } from 'zod'
import { adapterBase } from '../../src/config/adapter.ts'

/** A directory that lives in the process: for tests and for trying the bridge out. */
export const memoryConfig = adapterBase
  .extend({ kind: z.literal('memory') })
  .describe('A directory in memory, for trials')

export type MemoryConfig = z.output<typeof memoryConfig>

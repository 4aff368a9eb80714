import { env } from 'node:process'
import fc from 'fast-check'

/**
 * Loaded before the tests of `npm test`: the same dice every time, so that a red build is about the change. Without it, as
 * when one file is run by hand, or with another `FC_SEED`, other cases are tried.
 */
fc.configureGlobal({ seed: Number(env['FC_SEED'] ?? 20_261_121) })

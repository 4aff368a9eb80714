import type { VerifierOptions } from './options.ts'
import { createVerifier as create, type Verifier } from './verifier.ts'

export type { ErrorCode } from '../../src/core/errors.ts'
export { BridgeError } from '../../src/core/errors.ts'
export type { Authority, DecisionAnswer, DecisionRequest } from '../decisions.ts'
export type { Report, VerifierOptions } from './options.ts'
export type { LocalAnswer, Staleness, Verifier } from './verifier.ts'

/**
 * Keeps what the bridge decides by in memory, and decides by it with the bridge's own code. Connects at once; until it has
 * read everything, every answer is a refusal.
 *
 * @throws BridgeError E_CONFIG an option is wrong
 */
export const createVerifier = (options: VerifierOptions): Verifier => create(options)

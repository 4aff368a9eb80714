import { BridgeError } from '../core/errors.ts'
import { keysMost } from '../core/keys.ts'
import type { Did } from '../core/types.ts'
import { fitOf, parseAgentKey, thumbprintOf } from '../lib/agentkey.ts'
import type { AgentInput } from './agentapi.ts'
import type { Change } from './change.ts'

/**
 * The keys of a registration in the one form they are kept in, each once; undefined when nothing is said of them.
 * @throws BridgeError E_KEY, also when a key is not the one that the DID carries the fingerprint of
 */
export const keysIn = ({ did, keys }: Pick<AgentInput, 'did' | 'keys'>): readonly string[] | undefined => {
  if (keys === undefined) return undefined
  const wanted = [...new Set(keys.map(parseAgentKey))]
  if (wanted.length > keysMost) {
    throw new BridgeError('E_VALIDATION', `An agent has at most ${keysMost} keys.`, {
      details: [{ pointer: '/keys', code: 'too_big' }],
    })
  }
  for (const key of wanted) if (fitOf(did, key) === 'misfit') throw misfit()
  return wanted
}

const misfit = () =>
  new BridgeError('E_KEY', 'The DID carries the fingerprint of another key.', {
    hint: 'The digits after the last colon of the DID are those of the key it was made from; only that key fits.',
  })

/** Makes these the keys of the agent; undefined leaves them. What is known of one that stays, stays. */
export const setKeys = async (c: Change, did: Did, wanted: readonly string[] | undefined): Promise<void> => {
  if (wanted === undefined) return
  const present = await c.tx.keysOf(did)
  for (const { key, thumbprint } of present) if (!wanted.includes(key)) await c.tx.dropKey(did, thumbprint)
  for (const key of wanted) {
    if (present.some((one) => one.key === key)) continue
    const binding = fitOf(did, key) === 'fits' ? 'fingerprint' : 'declared'
    await c.tx.putKey(did, { key, thumbprint: thumbprintOf(key), binding, declaredAt: c.now, provenAt: undefined })
  }
}

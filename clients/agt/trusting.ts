import type { Asking } from './asking.ts'
import { AgtClientError } from './errors.ts'
import { isMembers } from './frames.ts'
import type { TrustLike } from './sdk.ts'

export interface TrustAnswer {
  /** As given. */
  readonly id: string
  /** `ok`, or why it was not recorded: `unknown`, `forbidden`, `decommissioned`. */
  readonly status: string
  /** What the bridge keeps, on 0–1000. */
  readonly score: number | undefined
  /** The hold that is open for the agent's score. */
  readonly hold: string | undefined
}

export interface TrustReporting {
  /**
   * Reports what a `TrustManager` says of these agents now, on the SDK's scale of 0 to 1. Asked once; repeating it costs
   * nothing.
   * @throws AgtClientError E_REQUEST
   */
  reportTrust(trust: TrustLike, ids: readonly string[]): Promise<readonly TrustAnswer[]>
}

/** An answer to so many is far below what the client reads. */
const atOnce = 200

export const createTrustReporting = (asking: Asking, didOf: (id: string) => string): TrustReporting => ({
  reportTrust: async (trust, ids) => {
    const answers: TrustAnswer[] = []
    for (let from = 0; from < ids.length; from += atOnce) {
      const part = ids.slice(from, from + atOnce)
      const scored = part.map((id) => ({ did: didOf(id), score: trust.getTrustScore(id).overall, scale: '0-1' }))
      const { items } = await asking.post('reportTrust', 'v1/trust', { items: scored })
      if (!Array.isArray(items) || items.length !== part.length) throw unreadable()
      answers.push(...part.map((id, index) => answerOf(id, items[index])))
    }
    return answers
  },
})

const unreadable = () => new AgtClientError('E_REQUEST', 'reportTrust: the answer is not understood.')

const answerOf = (id: string, item: unknown): TrustAnswer => {
  if (!isMembers(item) || typeof item.status !== 'string') throw unreadable()
  const { status, score, hold } = item
  return {
    id,
    status,
    score: typeof score === 'number' ? score : undefined,
    hold: typeof hold === 'string' ? hold : undefined,
  }
}

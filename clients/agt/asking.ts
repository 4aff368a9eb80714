import { AgtClientError } from './errors.ts'
import { isMembers, type Members } from './frames.ts'
import type { Answer, Http } from './http.ts'

const timeoutMs = 10_000

/** One request that the caller waits for, asked once: what fails is the caller's to know. */
export interface Ask {
  /** Problem codes that are an answer too. */
  readonly but?: readonly string[]
  readonly key?: string
}

/** @throws AgtClientError E_REQUEST nothing came, or another answer than 2xx */
const ask = async (what: string, sent: Promise<Answer>, but: readonly string[] = []): Promise<Members> => {
  let answer: Answer
  try {
    answer = await sent
  } catch (cause) {
    throw new AgtClientError('E_REQUEST', `${what}: the bridge did not answer.`, { cause })
  }
  const { status, problem: bridgeCode, body } = answer
  if (status >= 200 && status < 300 && isMembers(body)) return body
  if (bridgeCode !== undefined && but.includes(bridgeCode)) return {}
  throw new AgtClientError('E_REQUEST', `${what}: the bridge answered ${bridgeCode ?? status}.`, { status, bridgeCode })
}

export const asking = (http: Http, signal: AbortSignal) => ({
  get: (what: string, path: string) => ask(what, http.get(path, { timeoutMs, signal, foreground: true })),
  post: (what: string, path: string, body: unknown, { but, key }: Ask = {}) => {
    const headers = key === undefined ? {} : { 'idempotency-key': key }
    return ask(what, http.post(path, body, { headers, timeoutMs, signal, foreground: true }), but)
  },
})

export type Asking = ReturnType<typeof asking>

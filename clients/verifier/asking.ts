import { BridgeError } from '../../src/core/errors.ts'
import type { Http } from '../agt/http.ts'
import { type Page, pageOf } from './wire.ts'

/** Reads of the replica's routes. */
export interface Asking {
  page(cursor: string | undefined, signal: AbortSignal): Promise<Page>
  items(dids: readonly string[], signal: AbortSignal): Promise<Page>
}

/** DIDs in one request, as many as the bridge takes. */
export const mostAsked = 500
const limit = 1000
const limits = { timeoutMs: 30_000, maxBytes: 256 * 1024 * 1024, foreground: false }

/** What a status of the bridge other than 200 means here. */
export const failed = (status: number, code: string | undefined): BridgeError => {
  const text = `The bridge answered ${code ?? status}.`
  const hint = 'Check the token, and that its client has the role gateway.'
  if (status === 401) return new BridgeError('E_UNAUTHENTICATED', text, { hint })
  if (status === 403) return new BridgeError('E_FORBIDDEN', text, { hint })
  return new BridgeError('E_UNREACHABLE', text)
}

/** The bridge said that we may not ask, which is no outage: nothing that is known counts any more. */
export const isForbidden = (error: unknown): error is BridgeError =>
  error instanceof BridgeError && (error.code === 'E_UNAUTHENTICATED' || error.code === 'E_FORBIDDEN')

/** @throws BridgeError E_UNREACHABLE, E_UNAUTHENTICATED, E_FORBIDDEN */
export const createAsking = (http: Pick<Http, 'get' | 'post'>): Asking => {
  const asked = async (asking: ReturnType<Http['get']>): Promise<Page> => {
    const answer = await asking.catch((cause: unknown) => {
      throw new BridgeError('E_UNREACHABLE', 'The bridge cannot be reached.', { cause })
    })
    if (answer.status !== 200) throw failed(answer.status, answer.problem)
    return pageOf(answer.body)
  }
  return {
    page: (cursor, signal) => {
      const query = new URLSearchParams({ limit: String(limit), ...(cursor !== undefined && { cursor }) })
      return asked(http.get(`v1/replica?${query}`, { ...limits, signal }))
    },
    items: (dids, signal) => asked(http.post('v1/replica', { dids }, { ...limits, signal })),
  }
}

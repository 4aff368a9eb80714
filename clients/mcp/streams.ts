import type { ServerResponse } from 'node:http'

/** Answers that are still being sent, and whose token they are for. */
export interface Streams {
  /** Until it is closed. @returns aborted when the answer was cut because its token is no good any more */
  watch(token: string, response: ServerResponse): AbortSignal
  readonly size: number
  close(): void
}

const atOnce = 16

/**
 * A stream outlives the decision that it was opened on, so while it is open the question is asked again, once for each
 * token. What is not a yes cuts it: whoever comes back is told why.
 *
 * @param stillAllowed never rejects
 */
export const createStreams = (everyMs: number, stillAllowed: (token: string) => Promise<boolean>): Streams => {
  const open = new Map<string, Map<ServerResponse, AbortController>>()
  let timer: NodeJS.Timeout | undefined
  let closed = false
  let size = 0

  const cut = (token: string): void => {
    for (const [response, controller] of open.get(token) ?? []) {
      controller.abort(new Error('the agent may no longer act'))
      // In the middle of a stream there is nothing to say any more that every client would understand.
      response.destroy()
    }
  }
  const sweep = async (): Promise<void> => {
    const tokens = [...open.keys()]
    while (tokens.length > 0) {
      const some = tokens.splice(0, atOnce)
      await Promise.all(some.map(async (token) => (await stillAllowed(token)) || cut(token)))
    }
    timer = undefined
    next()
  }
  const next = (): void => {
    if (closed || timer !== undefined || open.size === 0) return
    timer = setTimeout(sweep, everyMs)
    timer.unref()
  }

  return {
    watch: (token, response) => {
      const controller = new AbortController()
      // Its close is past: whoever asked is gone.
      if (response.destroyed) return controller.signal
      const own = open.get(token) ?? new Map<ServerResponse, AbortController>()
      open.set(token, own.set(response, controller))
      size += 1
      response.once('close', () => {
        size -= 1
        if (own.delete(response) && own.size === 0) open.delete(token)
      })
      next()
      return controller.signal
    },
    get size() {
      return size
    },
    close: () => {
      closed = true
      clearTimeout(timer)
    },
  }
}

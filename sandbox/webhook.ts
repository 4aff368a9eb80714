/** One HTTP request to the webhook; undefined when it gave no answer within the limit. */
export async function attempt(
  url: URL,
  init: { method: 'GET' | 'POST' | 'OPTIONS'; headers: Record<string, string>; body?: string },
  timeoutMs: number,
  closed: AbortSignal,
): Promise<{ status: number; headers: Headers; text: string } | undefined> {
  const signal = AbortSignal.any([closed, AbortSignal.timeout(timeoutMs)])
  try {
    const response = await fetch(url, { ...init, redirect: 'manual', signal })
    return { status: response.status, headers: response.headers, text: await response.text() }
  } catch (error) {
    // Refused, reset, timed out or closed: for a sender all the same, an attempt without an answer.
    if (error instanceof TypeError || (error instanceof DOMException && signal.aborted)) return undefined
    throw error
  }
}

/** Waits, or until it is closed. */
export function pause(ms: number, closed: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms)
    function done(): void {
      clearTimeout(timer)
      closed.removeEventListener('abort', done)
      resolve()
    }
    closed.addEventListener('abort', done)
    if (closed.aborted) done()
  })
}

/** What happens to events on their way: at least once, in no order, and sometimes not at all. */
export type EventDisturbance = 'duplicated' | 'reordered' | 'dropped'

/** Events pass through it on their way to being sent. */
export class Disturbances<E> {
  readonly #send: (event: E) => void
  readonly #active: { readonly how: EventDisturbance; readonly kept: E[] }[] = []

  constructor(send: (event: E) => void) {
    this.#send = send
  }

  publish(event: E): void {
    const disturbed = this.#active.at(-1)
    if (disturbed?.how === 'reordered') disturbed.kept.push(event)
    if (disturbed?.how === 'reordered' || disturbed?.how === 'dropped') return
    this.#send(event)
    if (disturbed?.how === 'duplicated') this.#send(event)
  }

  /** Returns what lifts it. Reordered ones are kept until then and sent the last one first. */
  disturb(how: EventDisturbance): () => void {
    const kept: E[] = []
    const disturbance = { how, kept }
    this.#active.push(disturbance)
    return () => {
      const at = this.#active.indexOf(disturbance)
      if (at < 0) return
      this.#active.splice(at, 1)
      for (const event of kept.reverse()) this.publish(event)
    }
  }
}

/** Attempts to deliver, oldest first; bounded. */
export class Attempts<T> {
  readonly list: T[] = []
  readonly #describe: (attempt: T) => string
  readonly #waiters = new Set<() => void>()

  constructor(describe: (attempt: T) => string) {
    this.#describe = describe
  }

  record(attempt: T): void {
    this.list.push(attempt)
    if (this.list.length > 20_000) this.list.splice(0, 10_000)
    this.changed()
  }

  /** One of them has an answer. */
  changed(): void {
    for (const look of [...this.#waiters]) look()
  }

  /** The first attempt, past or to come, that matches; looked at when it starts and when it ends. */
  wait(matches: (attempt: T) => boolean, timeoutMs: number): Promise<T> {
    return new Promise((resolve, reject) => {
      const look = () => {
        const found = this.list.find(matches)
        if (found === undefined) return
        clearTimeout(timer)
        this.#waiters.delete(look)
        resolve(found)
      }
      const timer = setTimeout(() => {
        this.#waiters.delete(look)
        const seen = this.list.slice(-5).map(this.#describe)
        reject(new Error(`no such delivery within ${timeoutMs} ms; last: ${seen.join(', ') || 'none'}`))
      }, timeoutMs)
      this.#waiters.add(look)
      look()
    })
  }
}

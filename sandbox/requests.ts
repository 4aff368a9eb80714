/** One request as a local tenant saw it; an item of a `$batch` is one too. `Surface`: which part of it was asked. */
export interface SeenRequest<Surface extends string = string> {
  readonly seq: number
  readonly at: number
  readonly surface: Surface
  readonly method: string
  /** With query, without origin (Graph: below `/v1.0`, batch items too). */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: unknown
  /** The caller's app or client id, once its token was accepted. */
  appId: string | undefined
  /** Undefined until answered, and for ever when the connection was cut instead. */
  status: number | undefined
  /** The `seq` of the `$batch` that carried it, where there are batches. */
  readonly batch: number | undefined
}

/** Headers that are kept: never one that carries a credential. */
const recorded = [
  'accept',
  'client-request-id',
  'consistencylevel',
  'content-type',
  'odata-version',
  'prefer',
  'user-agent',
  'x-ms-throttle-priority',
]

interface Waiter<Surface extends string> {
  readonly matches: (request: SeenRequest<Surface>) => boolean
  readonly resolve: (request: SeenRequest<Surface>) => void
}

/** Everything that was asked, bounded; tokens and secrets are not kept. */
export class RequestLog<Surface extends string = string> {
  readonly #capacity: number
  #entries: SeenRequest<Surface>[] = []
  #seq = 0
  readonly #waiters = new Set<Waiter<Surface>>()

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  get entries(): readonly SeenRequest<Surface>[] {
    return this.#entries
  }

  clear(): void {
    this.#entries = []
  }

  open(
    request: Pick<SeenRequest<Surface>, 'at' | 'surface' | 'method' | 'path' | 'body'> & {
      header: (name: string) => string | undefined
      batch?: number
    },
  ): SeenRequest<Surface> {
    const { header, batch, ...rest } = request
    const headers: Record<string, string> = {}
    for (const name of recorded) {
      const value = header(name)
      if (value !== undefined) headers[name] = value
    }
    const entry: SeenRequest<Surface> = {
      ...rest,
      seq: ++this.#seq,
      headers,
      appId: undefined,
      status: undefined,
      batch,
    }
    this.#entries.push(entry)
    if (this.#entries.length > this.#capacity) this.#entries = this.#entries.slice(-Math.ceil(this.#capacity / 2))
    this.#tell(entry)
    return entry
  }

  close(entry: SeenRequest<Surface>, status: number): void {
    entry.status = status
    this.#tell(entry)
  }

  /** The first request, past or to come, that matches. Rejects after `timeoutMs`. */
  wait(matches: (request: SeenRequest<Surface>) => boolean, timeoutMs: number): Promise<SeenRequest<Surface>> {
    const past = this.#entries.find(matches)
    if (past !== undefined) return Promise.resolve(past)
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiters.delete(waiter)
        const seen = this.#entries.slice(-5).map((each) => `${each.method} ${each.path} ${each.status ?? '-'}`)
        reject(new Error(`no such request within ${timeoutMs} ms; last seen: ${seen.join(', ') || 'none'}`))
      }, timeoutMs)
      const waiter: Waiter<Surface> = {
        matches,
        resolve: (request) => {
          clearTimeout(timer)
          this.#waiters.delete(waiter)
          resolve(request)
        },
      }
      this.#waiters.add(waiter)
    })
  }

  #tell(entry: SeenRequest<Surface>): void {
    for (const waiter of [...this.#waiters]) if (waiter.matches(entry)) waiter.resolve(entry)
  }
}

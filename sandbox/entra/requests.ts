/** One request as the tenant saw it; an item of a `$batch` is one too. */
export interface SeenRequest {
  readonly seq: number
  readonly at: number
  readonly surface: 'graph' | 'login' | 'metadata' | 'imds'
  readonly method: string
  /** With query, without origin; a batch item's path is given below `/v1.0`, as that of a plain call. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: unknown
  /** The caller's app id, once its token was accepted. */
  appId: string | undefined
  /** Undefined until answered, and for ever when the connection was cut instead. */
  status: number | undefined
  /** The `seq` of the `$batch` that carried it. */
  readonly batch: number | undefined
}

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

interface Waiter {
  readonly matches: (request: SeenRequest) => boolean
  readonly resolve: (request: SeenRequest) => void
}

/** Everything that was asked, bounded; tokens and secrets are not kept. */
export class RequestLog {
  readonly #capacity: number
  #entries: SeenRequest[] = []
  #seq = 0
  readonly #waiters = new Set<Waiter>()

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  get entries(): readonly SeenRequest[] {
    return this.#entries
  }

  clear(): void {
    this.#entries = []
  }

  open(
    request: Pick<SeenRequest, 'at' | 'surface' | 'method' | 'path' | 'body'> & {
      header: (name: string) => string | undefined
      batch?: number
    },
  ): SeenRequest {
    const { header, batch, ...rest } = request
    const headers: Record<string, string> = {}
    for (const name of recorded) {
      const value = header(name)
      if (value !== undefined) headers[name] = value
    }
    const entry: SeenRequest = { ...rest, seq: ++this.#seq, headers, appId: undefined, status: undefined, batch }
    this.#entries.push(entry)
    if (this.#entries.length > this.#capacity) this.#entries = this.#entries.slice(-Math.ceil(this.#capacity / 2))
    this.#tell(entry)
    return entry
  }

  close(entry: SeenRequest, status: number): void {
    entry.status = status
    this.#tell(entry)
  }

  /** The first request, past or to come, that matches. Rejects after `timeoutMs`. */
  wait(matches: (request: SeenRequest) => boolean, timeoutMs: number): Promise<SeenRequest> {
    const past = this.#entries.find(matches)
    if (past !== undefined) return Promise.resolve(past)
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiters.delete(waiter)
        const seen = this.#entries.slice(-5).map((each) => `${each.method} ${each.path} ${each.status ?? '-'}`)
        reject(new Error(`no such request within ${timeoutMs} ms; last seen: ${seen.join(', ') || 'none'}`))
      }, timeoutMs)
      const waiter: Waiter = {
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

  #tell(entry: SeenRequest): void {
    for (const waiter of [...this.#waiters]) if (waiter.matches(entry)) waiter.resolve(entry)
  }
}

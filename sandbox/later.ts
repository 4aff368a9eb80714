interface Due {
  readonly at: number
  readonly run: () => void
}

/** Work a tenant does by itself some time after it was asked: done once due, before the next request is answered at the latest. */
export class Later {
  readonly #now: () => number
  #due: Due[] = []
  #closed = false

  constructor(now: () => number) {
    this.#now = now
  }

  after(ms: number, run: () => void): void {
    if (ms <= 0) {
      run()
      return
    }
    this.#due.push({ at: this.#now() + ms, run })
    // A clock the tests hold still is looked at again with every request.
    setTimeout(() => this.run(), ms).unref()
  }

  run(): void {
    if (this.#closed) return
    for (;;) {
      const now = this.#now()
      const next = this.#due.filter(({ at }) => at <= now).sort((a, b) => a.at - b.at)[0]
      if (next === undefined) return
      this.#due = this.#due.filter((each) => each !== next)
      next.run()
    }
  }

  /** All that is still to come, now. */
  settle(): void {
    while (this.#due.length > 0) {
      const [next] = this.#due.sort((a, b) => a.at - b.at).splice(0, 1)
      next?.run()
    }
  }

  close(): void {
    this.#closed = true
    this.#due = []
  }
}

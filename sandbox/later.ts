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
    const due = { at: this.#now() + ms, run }
    this.#due.push(due)
    this.#wait(due)
  }

  /** Timers can be ahead of the clock, by a millisecond or as far as it was set back. One that the tests hold still is looked at with every request, too. */
  #wait(due: Due): void {
    const leftMs = Math.max(1, due.at - this.#now())
    const look = () => {
      this.run()
      if (this.#due.includes(due)) this.#wait(due)
    }
    setTimeout(look, leftMs).unref()
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

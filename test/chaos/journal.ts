/** Everything that happened, for the timeline of a violation. Times are this process's wall clock. */
export interface Event {
  readonly at: number
  readonly what: string
  /** DIDs and account ids it is about; none: it concerns everybody. */
  readonly about: readonly string[]
  readonly text: string
}

export interface Violation {
  readonly rule: string
  readonly text: string
  readonly about: readonly string[]
}

const mostEvents = 400_000

export class Journal {
  #events: Event[] = []
  readonly violations: Violation[] = []
  readonly counts = new Map<string, number>()
  checks = 0

  note(what: string, about: readonly string[], text: string): void {
    this.#events.push({ at: Date.now(), what, about, text })
    if (this.#events.length > mostEvents) this.#events = this.#events.slice(mostEvents / 2)
  }

  count(what: string, by = 1): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + by)
  }

  /** One check of an invariant; records a violation unless it holds. */
  check(rule: string, holds: boolean, text: () => string, about: readonly string[]): boolean {
    this.checks += 1
    if (holds) return true
    const violation = { rule, text: text(), about }
    const known = this.violations.some((one) => one.rule === rule && one.about[0] === about[0])
    if (!known) {
      this.violations.push(violation)
      this.note('VIOLATION', about, `${rule}: ${violation.text}`)
    }
    return false
  }

  /** What concerns one of these, or everybody, in order. */
  about(names: readonly string[]): readonly Event[] {
    const wanted = new Set(names)
    return this.#events.filter(({ about }) => about.length === 0 || about.some((name) => wanted.has(name)))
  }
}

/**
 * A value whose changes become visible later: what a replicated directory looks like from outside. Writers see `current`,
 * readers see `seen(at)`.
 */
export class Versioned<T> {
  #oldest: T
  readonly #later: { readonly visibleAt: number; readonly value: T }[] = []

  constructor(oldest: T) {
    this.#oldest = oldest
  }

  get current(): T {
    const last = this.#later.at(-1)
    return last === undefined ? this.#oldest : last.value
  }

  /** `forgetBefore`: no reader will ask for a moment before it. */
  set(value: T, visibleAt: number, forgetBefore: number): void {
    this.#later.push({ visibleAt, value })
    for (let first = this.#later[0]; first !== undefined && first.visibleAt <= forgetBefore; first = this.#later[0]) {
      this.#oldest = first.value
      this.#later.shift()
    }
  }

  seen(at: number): T {
    const visible = this.#later.findLast((version) => version.visibleAt <= at)
    return visible === undefined ? this.#oldest : visible.value
  }
}

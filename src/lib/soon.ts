/** Known at once, as most answers are that were given before, or only later. Awaiting it costs a turn; `soon` does not. */
export type Soon<T> = T | Promise<T>

export const soon = <T, U>(value: Soon<T>, use: (value: T) => Soon<U>): Soon<U> =>
  value instanceof Promise ? value.then(use) : use(value)

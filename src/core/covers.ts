/**
 * Whether a granted capability includes the one asked for. Capabilities are `action:resource[:qualifier]`, compared byte
 * by byte. `*` includes everything; `read:*` includes whatever has at least one more segment after `read:`, so neither
 * `readx` nor `read` itself. A `*` anywhere else is an ordinary character, and nothing includes the empty capability.
 */
export function covers(granted: string, asked: string): boolean {
  if (asked === '') return false
  if (granted === asked || granted === '*') return true
  if (!granted.endsWith(':*') || granted === ':*') return false
  const prefix = granted.slice(0, -1)
  return asked.startsWith(prefix) && asked.length > prefix.length
}

/**
 * Whether any of these grants includes the one asked for. Lists may be a thousand long and are compared at every hop of a
 * chain: each name is looked up, not compared with all the others.
 */
export const coverage = (granted: Iterable<string>): ((asked: string) => boolean) => {
  const names = new Set(granted)
  return (asked) => {
    if (asked === '') return false
    if (names.has(asked) || names.has('*')) return true
    // `:*` includes nothing but itself, and a prefix is never the whole name.
    for (let at = asked.indexOf(':', 1); at > 0 && at < asked.length - 1; at = asked.indexOf(':', at + 1)) {
      if (names.has(`${asked.slice(0, at)}:*`)) return true
    }
    return false
  }
}

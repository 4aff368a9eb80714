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

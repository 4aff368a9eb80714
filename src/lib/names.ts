const MAX_DEPTH = 32
const [QUOTE, COMMA, COLON, OPEN_LIST, ESCAPE, CLOSE_LIST, OPEN, CLOSE] = [
  0x22, 0x2c, 0x3a, 0x5b, 0x5c, 0x5d, 0x7b, 0x7d,
]
const [TAB, LINE_FEED, RETURN, BLANK] = [0x09, 0x0a, 0x0d, 0x20]

/**
 * Whether no object of a JSON text names a member twice (after unescaping) or `__proto__`, and nesting is bounded.
 *
 * @param value what JSON.parse makes of the text
 */
export const namesAreSound = (json: string, value: unknown, maxDepth = MAX_DEPTH): boolean =>
  // With an escape in it each name is read here: V8 13.6 takes `"\u0061"` for `"\\"` where it has seen such a member before.
  json.includes('\\') ? eachIsSound(json, maxDepth) : membersOf(value, maxDepth) === namesIn(json)

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null

/** NaN, which equals nothing, of what is too deep or has a `__proto__`. */
const membersOf = (value: unknown, depth: number): number => {
  if (!isObject(value)) return 0
  if (depth === 0) return Number.NaN
  let members = 0
  if (Array.isArray(value)) {
    for (const item of value) members += membersOf(item, depth - 1)
    return members
  }
  for (const name in value) {
    if (name === '__proto__') return Number.NaN
    const member = value[name]
    members += isObject(member) ? 1 + membersOf(member, depth - 1) : 1
  }
  return members
}

/**
 * In valid JSON a text before a colon is a name, and nothing else is. One given twice is in the text twice and in the value
 * once: the two numbers tell without looking at any of them.
 */
const namesIn = (json: string): number => {
  let names = 0
  for (let at = json.indexOf('"'); at >= 0; ) {
    let next = json.indexOf('"', at + 1) + 1
    let letter = json.charCodeAt(next)
    while (letter === BLANK || letter === LINE_FEED || letter === RETURN || letter === TAB) {
      next += 1
      letter = json.charCodeAt(next)
    }
    if (letter === COLON) names += 1
    at = json.indexOf('"', next)
  }
  return names
}

const eachIsSound = (json: string, maxDepth: number): boolean => {
  /** One a level: the names so far of an object, undefined for an array. */
  const open: (Set<string> | undefined)[] = []
  let names: Set<string> | undefined
  let nameNext = false
  for (let at = 0; at < json.length; at++) {
    switch (json.charCodeAt(at)) {
      case OPEN:
      case OPEN_LIST:
        nameNext = json.charCodeAt(at) === OPEN
        names = nameNext ? new Set() : undefined
        open.push(names)
        if (open.length > maxDepth) return false
        break
      case CLOSE:
      case CLOSE_LIST:
        open.pop()
        names = open.at(-1)
        nameNext = false
        break
      case COMMA:
        nameNext = names !== undefined
        break
      case QUOTE: {
        const end = endOfText(json, at)
        if (nameNext && names) {
          const written = json.slice(at + 1, end)
          const name: unknown = written.includes('\\') ? JSON.parse(`"${written}"`) : written
          if (typeof name !== 'string' || name === '__proto__' || names.has(name)) return false
          names.add(name)
          nameNext = false
        }
        at = end
        break
      }
    }
  }
  return true
}

/** Where the text ends that begins at this quote: at the next one before which stands an even number of backslashes. */
function endOfText(json: string, start: number): number {
  for (let end = json.indexOf('"', start + 1); end >= 0; end = json.indexOf('"', end + 1)) {
    let before = end
    while (json.charCodeAt(before - 1) === ESCAPE) before--
    if ((end - before) % 2 === 0) return end
  }
  return json.length
}

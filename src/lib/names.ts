const MAX_DEPTH = 32
const [QUOTE, COMMA, COLON, OPEN_LIST, ESCAPE, CLOSE_LIST, OPEN, CLOSE] = [
  0x22, 0x2c, 0x3a, 0x5b, 0x5c, 0x5d, 0x7b, 0x7d,
]
const [TAB, LINE_FEED, RETURN, BLANK] = [0x09, 0x0a, 0x0d, 0x20]

/**
 * The same JSON with no escape in any name. V8 13.6 (Node 24) takes a name with one for another that it has seen in the same
 * place: after `{"q":1,"b\\":1}` it reads `{"q":1,"b\u0061":1}` as having `b\`. Whoever sends the one decides what is read in
 * the other, so no name with an escape is given to it.
 *
 * @param mend replaces what a name cannot hold without an escape: a quote, a backslash, a control character, half a
 * surrogate pair
 * @returns undefined where a name holds one of these, unless they are replaced. What is not JSON is handed back for whoever
 * parses it to say so
 */
export const plainNames = (json: string, mend?: (name: string) => string): string | undefined => {
  if (!json.includes('\\')) return json
  let plain = ''
  let from = 0
  for (let at = json.indexOf('"'); at >= 0; ) {
    const end = endOfText(json, at)
    const written = json.slice(at + 1, end)
    if (written.includes('\\') && json.charCodeAt(afterBlanks(json, end + 1)) === COLON) {
      let name = read(written)
      if (name === undefined) return json
      if (!isPlain(name) && mend !== undefined) name = mend(name)
      if (!isPlain(name)) return undefined
      plain += `${json.slice(from, at + 1)}${name}`
      from = end
    }
    at = json.indexOf('"', end + 1)
  }
  return plain + json.slice(from)
}

const isPlain = (name: string): boolean => JSON.stringify(name).length === name.length + 2

/** For where refusing a name would do more harm. */
export const mendedName = (name: string): string => name.toWellFormed().replaceAll(/["\\\p{Cc}]/gu, '\u{fffd}')

const read = (written: string): string | undefined => {
  try {
    return String(JSON.parse(`"${written}"`))
  } catch {
    return undefined
  }
}

const afterBlanks = (json: string, start: number): number => {
  let next = start
  for (let letter = json.charCodeAt(next); isBlank(letter); letter = json.charCodeAt(next)) next += 1
  return next
}

const isBlank = (letter: number): boolean =>
  letter === BLANK || letter === LINE_FEED || letter === RETURN || letter === TAB

/**
 * What a JSON text says, when it says one thing only: no object names a member twice, nesting is bounded.
 * @throws SyntaxError also for what is not JSON
 */
export const parseSound = (json: string, maxDepth = MAX_DEPTH): unknown => {
  const plain = plainNames(json)
  if (plain === undefined) throw new SyntaxError('A member name holds what can only be written with an escape.')
  const value: unknown = JSON.parse(plain)
  if (namesAreSound(plain, value, maxDepth)) return value
  throw new SyntaxError('An object names a member twice, or it is nested too deep.')
}

/**
 * Whether no object of a JSON text names a member twice, or `__proto__`, and nesting is bounded.
 *
 * @param json as `plainNames` gives it
 * @param value what JSON.parse makes of the text
 */
export const namesAreSound = (json: string, value: unknown, maxDepth = MAX_DEPTH): boolean =>
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
    const next = afterBlanks(json, json.indexOf('"', at + 1) + 1)
    if (json.charCodeAt(next) === COLON) names += 1
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
          const name = json.slice(at + 1, end)
          if (name === '__proto__' || names.has(name)) return false
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

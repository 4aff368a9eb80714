/** A small generator of even numbers from a seed, for millions of cases (mulberry32). */
export const dice = (seed: number) => {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
  const below = (n: number): number => Math.floor(next() * n)
  const pick = <T>(list: readonly T[]): T => {
    const one = list[below(list.length)]
    if (one === undefined) throw new RangeError('nothing to pick from')
    return one
  }
  return { next, below, pick }
}
export type Dice = ReturnType<typeof dice>

const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const strange = ['.', '=', '+', '/', ' ', '\n', '\u0000', '%', '~', '\u00e9', '\u2024', '\ud83d', '"', '{']

type Parts = readonly [string, string, string]
const apart = (token: string): Parts => {
  const [first = '', second = '', third = ''] = token.split('.')
  return [first, second, third]
}
const swapped = (parts: Parts, nth: number, part: string): string => parts.with(nth, part).join('.')

/** Bytes changed, then encoded as they should be: such a token gets past its form. */
const recoded = (change: (bytes: Buffer, dice: Dice, others: readonly string[], nth: number) => Buffer) => {
  return (token: string, d: Dice, others: readonly string[]): string => {
    const parts = apart(token)
    // Mostly the claims and the signature: a changed header seldom gets as far as its key.
    const nth = d.pick([0, 1, 1, 2, 2, 2])
    const bytes = Buffer.from(parts[nth] ?? '', 'base64url')
    return swapped(parts, nth, change(bytes, d, others, nth).toString('base64url'))
  }
}

/** A value inside the JSON of the claims or the header changed for another: it stays JSON. */
const rewritten = (change: (json: string, d: Dice) => string) => {
  return (token: string, d: Dice): string => {
    const parts = apart(token)
    const nth = d.pick([0, 1, 1, 1])
    const json = Buffer.from(parts[nth] ?? '', 'base64url').toString()
    return swapped(parts, nth, Buffer.from(change(json, d)).toString('base64url'))
  }
}

const algs = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'HS256', 'none']

/** Every way in which a token is changed. Some of them now and then give the very token back. */
export const mutations: readonly ((token: string, d: Dice, others: readonly string[]) => string)[] = [
  // Letters.
  (token, d) => {
    const at = d.below(token.length)
    return token.slice(0, at) + String.fromCharCode(token.charCodeAt(at) ^ (1 << d.below(8))) + token.slice(at + 1)
  },
  (token, d) => {
    const at = d.below(token.length)
    return token.slice(0, at) + letters.charAt(d.below(64)) + token.slice(at + 1)
  },
  (token, d) => {
    const at = d.below(token.length)
    return token.slice(0, at) + d.pick(strange) + token.slice(at + d.below(2))
  },
  (token, d) => {
    const at = d.below(token.length)
    const letter = token.charAt(at)
    const other = letter === letter.toUpperCase() ? letter.toLowerCase() : letter.toUpperCase()
    return token.slice(0, at) + other + token.slice(at + 1)
  },
  (token, d) => {
    const [a, b] = [d.below(token.length), d.below(token.length)].toSorted((x, y) => x - y)
    if (a === undefined || b === undefined || a === b) return token
    return token.slice(0, a) + token.charAt(b) + token.slice(a + 1, b) + token.charAt(a) + token.slice(b + 1)
  },
  // Lengths.
  (token, d) => token.slice(0, d.below(token.length)),
  (token, d) => token.slice(d.below(token.length)),
  (token, d) => {
    const at = d.below(token.length)
    return token.slice(0, at) + token.slice(at + 1 + d.below(8))
  },
  (token, d) => {
    const at = d.below(token.length)
    const end = at + 1 + d.below(8)
    return token.slice(0, end) + token.slice(at, end) + token.slice(end)
  },
  // Two tokens.
  (token, d, others) => {
    const nth = d.below(3)
    return swapped(apart(token), nth, apart(d.pick(others))[nth] ?? '')
  },
  (token, d, others) => {
    const at = d.below(token.length)
    return token.slice(0, at) + d.pick(others).slice(at)
  },
  (token, d, others) => {
    const [a, b, c] = [apart(token), apart(d.pick(others)), apart(d.pick(others))]
    return [a[0], b[1], c[2]].join('.')
  },
  // Parts.
  (token, d) => {
    const [h, c, s] = apart(token)
    return d.pick([`${c}.${h}.${s}`, `${h}.${s}.${c}`, `${s}.${c}.${h}`, `${h}.${c}.`, `${h}..${s}`, `.${c}.${s}`])
  },
  // Bytes.
  recoded((bytes, d) => {
    const at = d.below(bytes.length)
    bytes[at] = (bytes[at] ?? 0) ^ (1 << d.below(8))
    return bytes
  }),
  recoded((bytes, d) => {
    const at = d.below(bytes.length)
    bytes[at] = d.below(256)
    return bytes
  }),
  recoded((bytes, d) => {
    const [a, b] = [d.below(bytes.length), d.below(bytes.length)]
    const kept = bytes[a] ?? 0
    bytes[a] = bytes[b] ?? 0
    bytes[b] = kept
    return bytes
  }),
  recoded((bytes, d) => bytes.subarray(0, d.below(bytes.length))),
  recoded((bytes, d) => bytes.subarray(d.below(bytes.length))),
  recoded((bytes, d) => Buffer.concat([bytes, Buffer.alloc(1 + d.below(4), d.pick([0, 0x20, 0xff]))])),
  recoded((bytes, d) => Buffer.concat([Buffer.alloc(1 + d.below(2)), bytes])),
  recoded((bytes, d) => bytes.fill(d.pick([0, 1, 0xff]), d.below(bytes.length))),
  recoded((bytes, d) => bytes.reverse().fill(0, 0, d.below(2))),
  recoded((bytes, d, others, nth) => {
    const other = Buffer.from(apart(d.pick(others))[nth] ?? '', 'base64url')
    const at = d.below(Math.min(bytes.length, other.length))
    return Buffer.concat([bytes.subarray(0, at), other.subarray(at)])
  }),
  recoded((bytes, d, others, nth) => {
    const other = Buffer.from(apart(d.pick(others))[nth] ?? '', 'base64url')
    const half = bytes.length >> 1
    return Buffer.concat([bytes.subarray(0, half), other.subarray(other.length >> 1)])
  }),
  // Values.
  rewritten((json, d) => json.replace(/\d/g, (digit) => (d.below(8) === 0 ? String(d.below(10)) : digit))),
  rewritten((json, d) => json.replace(/account-\d+/, `account-${d.below(1000)}`)),
  rewritten((json, d) => json.replace(/"(alg|kid)":"[^"]*"/, (_, name) => `"${name}":"${d.pick(algs)}"`)),
  rewritten((json, d) => `{"x":${d.below(1000)},${json.slice(1)}`),
  rewritten((json, d) => ' '.repeat(1 + d.below(3)) + json),
  rewritten((json, d) =>
    json.replace(
      /"(\w+)":/,
      (_, name) => `"\\u${name.charCodeAt(0).toString(16).padStart(4, '0')}${name.slice(1 + d.below(2))}":`,
    ),
  ),
  rewritten((json, d) => {
    const value: object = JSON.parse(json)
    const entries = Object.entries(value)
    return JSON.stringify(
      Object.fromEntries(d.below(2) === 0 ? entries.toReversed() : entries.toSpliced(d.below(entries.length), 1)),
    )
  }),
  rewritten((json, d) => json.replace(/"iat":\d+/, `"iat":${d.pick(['1e309', '-1', '"1"', 'null', '0', '1e10'])}`)),
]

export const mutated = (tokens: readonly string[], d: Dice): string => {
  let text = d.pick(tokens)
  const times = d.below(8) === 0 ? 2 : 1
  for (let n = 0; n < times; n += 1) {
    try {
      text = d.pick(mutations)(text, d, tokens)
    } catch {
      // What is JSON no more after the first change cannot be rewritten by the second.
      return text
    }
  }
  return text
}

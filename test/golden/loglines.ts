import { sources } from './markdown.ts'

const call = /\blog\??\.(trace|debug|info|warn|error|fatal)\(/g

/** From behind an opening bracket to the one that closes it. Texts with brackets of their own are balanced in ours. */
const within = (text: string, from: number): string => {
  let depth = 1
  let at = from
  for (; depth > 0 && at < text.length; at += 1) {
    if (text[at] === '(') depth += 1
    if (text[at] === ')') depth -= 1
  }
  return text.slice(from, at - 1)
}

/** `level text` of every line that the sources write with a text of their own. */
export const logLines = (): string[] => {
  const found = new Set<string>()
  for (const text of sources('{src,adapters}/**/*.ts').values()) {
    for (const match of text.matchAll(call)) {
      const [whole, level] = match
      const [, told] = /'([^']+)',?\s*$/.exec(within(text, match.index + whole.length)) ?? []
      if (told !== undefined) found.add(`${level} ${told}`)
    }
  }
  return [...found].sort()
}

import { globSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

export const root = resolve(import.meta.dirname, '../..')

export const read = (file: string): string => readFileSync(join(root, file), 'utf8')

/** Source of a folder, by path. */
export const sources = (pattern: string): Map<string, string> =>
  new Map(globSync(pattern, { cwd: root }).map((file) => [file.replaceAll('\\', '/'), read(file)]))

/** One section: from its heading to the next of the same or a higher level. */
export const section = (text: string, heading: string): string => {
  const lines = text.split('\n')
  const from = lines.findIndex((line) => /^#+ /.test(line) && line.replace(/^#+ /, '') === heading)
  if (from < 0) return ''
  const level = (lines[from] ?? '').indexOf(' ')
  const length = lines.slice(from + 1).findIndex((line) => /^#+ /.test(line) && line.indexOf(' ') <= level)
  return lines.slice(from, length < 0 ? undefined : from + 1 + length).join('\n')
}

/** Cells of every table row, header and rule left out; a `\|` is no border. */
export const rows = (text: string): string[][] => {
  const lines = text.split('\n')
  const isRule = (line: string | undefined) => line !== undefined && /^\|[\s|:-]+\|$/.test(line)
  return lines
    .filter((line, at) => line.startsWith('|') && !isRule(line) && !isRule(lines[at + 1]))
    .map((line) => line.slice(1, line.lastIndexOf('|')).split(/(?<!\\)\|/))
    .map((cells) => cells.map((cell) => cell.trim()))
}

/** What the first cell of a row names in backticks, if it is nothing else. */
export const named = (row: readonly string[]): string | undefined => /^`([^`]+)`$/.exec(row[0] ?? '')?.[1]

/** Rows by what they name. A name twice is an error of the page. */
export const byName = (text: string): Map<string, string[]> => {
  const found = new Map<string, string[]>()
  for (const row of rows(text)) {
    const name = named(row)
    if (name === undefined) continue
    if (found.has(name)) throw new Error(`${name} stands twice`)
    found.set(name, row)
  }
  return found
}

/** Fenced blocks of one language. */
export const fenced = (text: string, language: string): string[] =>
  [...text.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)]
    .filter(([, found]) => found === language)
    .map(([, , body]) => body ?? '')

/** What is on one side only, to be empty on both. */
export const difference = (code: Iterable<string>, page: Iterable<string>) => {
  const wanted = new Set(code)
  const given = new Set(page)
  return {
    undocumented: [...wanted].filter((name) => !given.has(name)).sort(),
    gone: [...given].filter((name) => !wanted.has(name)).sort(),
  }
}

export const same = { undocumented: [], gone: [] }

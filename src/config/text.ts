import { type Document, isNode, LineCounter, parseDocument, type YAMLError } from 'yaml'
import { type Files, SecretRef } from '../lib/secret.ts'
import type { Fault } from './faults.ts'

export const MAX_BYTES = 1024 * 1024
const MAX_ALIASES = 100

/**
 * `${` cannot be written in a YAML flow mapping, where `{` opens another one, so `${NAME}` is disguised with private-use
 * characters of the same width before YAML sees it, and put right in the strings that come out.
 */
const OPEN = '\uE000\uE001'
const CLOSE = '\uE002'
const ESCAPED = '\uE003\uE004\uE005'

export interface Tree {
  /** Plain data; undefined when the text could not be read as a mapping. `{ file }` objects are `SecretRef`s. */
  readonly root: unknown
  readonly faults: readonly Fault[]
  /** Line and column of a path, or of the nearest thing around it. */
  position(path: readonly PropertyKey[]): { line: number; column: number } | undefined
}

/** Reads YAML or JSON text into plain data: `${ENV_NAME}` replaced, `{ file: path }` turned into unread references. */
export function readTree(text: string, env: Readonly<Record<string, string | undefined>>, files: Files): Tree {
  const nowhere = () => undefined
  const broken = (fault: Fault): Tree => ({ root: undefined, faults: [fault], position: nowhere })
  if (Buffer.byteLength(text) > MAX_BYTES) {
    return broken({ path: '', code: 'too_large', message: 'the file is over 1 MiB', hint: 'is this the right file?' })
  }
  if (/[\uE000-\uE005]/.test(text)) {
    const hint = 'remove the invisible characters U+E000 to U+E005'
    return broken({ path: '', code: 'syntax', message: 'the file contains private-use characters', hint })
  }

  const lines = new LineCounter()
  const disguised = text.replaceAll(`$\${`, ESCAPED).replace(/\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g, `${OPEN}$1${CLOSE}`)
  const document = parseDocument(disguised, { lineCounter: lines, prettyErrors: false, uniqueKeys: true })
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset)
    return { line, column: col }
  }
  const problems = [...document.errors, ...document.warnings]
  if (problems.length > 0) {
    const faults = problems.map((problem) => ({ ...syntaxFault(problem), ...at(problem.pos[0]) }))
    // YAML may say the same of one place in several ways.
    const distinct = new Map(faults.map((fault) => [JSON.stringify(fault), fault]))
    return { root: undefined, faults: [...distinct.values()], position: nowhere }
  }

  const faults: Fault[] = []
  const position = (path: readonly PropertyKey[]) => {
    const offset = offsetOf(document, path)
    return offset === undefined ? undefined : at(offset)
  }
  let data: unknown
  try {
    data = document.toJS({ maxAliasCount: MAX_ALIASES })
  } catch {
    const hint = `write the repeated parts out, or use fewer than ${MAX_ALIASES} references`
    return broken({ path: '', code: 'syntax', message: 'the file repeats itself through too many YAML aliases', hint })
  }
  return { root: resolve(data, [], { env, files, faults, seen: new Set() }), faults, position }
}

/** YAML's own messages can quote the text, which may be a secret: only its codes are used. */
const syntaxWords: Readonly<Record<string, string>> = {
  DUPLICATE_KEY: 'the same key stands twice in one mapping',
  TAB_AS_INDENT: 'a tab is used for indentation',
  BAD_INDENT: 'the indentation does not fit the lines around it',
  MISSING_CHAR: 'a character is missing, such as a comma, a colon or a closing quote or bracket',
  MULTIPLE_DOCS: 'the file holds more than one document',
  TAG_RESOLVE_FAILED: 'a YAML tag (!…) is used',
  BAD_ALIAS: 'a YAML alias is broken or points nowhere',
}

const syntaxHints: Readonly<Record<string, string>> = {
  DUPLICATE_KEY: 'merge the two entries; otherwise one of them would be ignored',
  TAB_AS_INDENT: 'indent with spaces',
  MULTIPLE_DOCS: 'remove everything from the second --- on',
  TAG_RESOLVE_FAILED: 'remove it, or put the value in quotes',
}

function syntaxFault(problem: YAMLError): Fault {
  return {
    path: '',
    code: 'syntax',
    message: syntaxWords[problem.code] ?? 'this is neither YAML nor JSON',
    hint: syntaxHints[problem.code] ?? 'check quotes, brackets and indentation from here upwards',
  }
}

function offsetOf(document: Document, path: readonly PropertyKey[]): number | undefined {
  for (let length = path.length; length > 0; length--) {
    const node = document.getIn(path.slice(0, length), true)
    if (isNode(node) && node.range) return node.range[0]
  }
  return undefined
}

interface Resolving {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly files: Files
  readonly faults: Fault[]
  /** Objects on the way down: an alias may contain itself. */
  readonly seen: Set<unknown>
}

function resolve(value: unknown, path: readonly PropertyKey[], context: Resolving): unknown {
  if (typeof value === 'string') return interpolate(value, path, context)
  if (typeof value !== 'object' || value === null) return value
  const where = path.join('.')
  if (context.seen.has(value)) {
    context.faults.push({ path: where, code: 'syntax', message: 'contains itself', hint: 'remove the YAML alias' })
    return undefined
  }
  context.seen.add(value)
  try {
    if (Array.isArray(value)) return value.map((item, index) => resolve(item, [...path, index], context))
    const entries = Object.entries(value).filter(([key]) => {
      if (key !== '__proto__') return true
      context.faults.push({ path: where, code: 'unknown_key', message: 'has a key named __proto__', hint: 'remove it' })
      return false
    })
    const resolved = Object.fromEntries(entries.map(([key, item]) => [key, resolve(item, [...path, key], context)]))
    const { file, ...others } = resolved
    if (typeof file === 'string' && Object.keys(others).length === 0) return SecretRef.file(file, context.files)
    return resolved
  } finally {
    context.seen.delete(value)
  }
}

function interpolate(text: string, path: readonly PropertyKey[], { env, faults }: Resolving): string {
  const where = path.join('.')
  if (text.includes(`$\{`)) {
    const hint = `write \${NAME} with letters, digits and _; there are no defaults; $\${ stands for a plain \${`
    faults.push({ path: where, code: 'bad_value', message: `has a malformed \${…}`, hint })
  }
  return text
    .replace(/\uE000\uE001([A-Za-z0-9_]+)\uE002/g, (_, name: string) => {
      const value = env[name]
      if (value !== undefined) return value
      const message = `needs the environment variable ${name}, which is not set`
      faults.push({ path: where, code: 'env_missing', message, hint: `set ${name}, or write the value here` })
      return ''
    })
    .replaceAll(ESCAPED, `$\{`)
}

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import { byName, difference, read, same, section } from './markdown.ts'

interface Node {
  readonly properties?: Readonly<Record<string, Node>> | undefined
  readonly additionalProperties?: boolean | Node | undefined
  readonly items?: Node | undefined
  readonly anyOf?: readonly Node[] | undefined
  readonly oneOf?: readonly Node[] | undefined
  readonly default?: unknown
}
const node: z.ZodType<Node> = z.lazy(() =>
  z.object({
    properties: z.record(z.string(), node).optional(),
    additionalProperties: z.union([z.boolean(), node]).optional(),
    items: node.optional(),
    anyOf: z.array(node).optional(),
    oneOf: z.array(node).optional(),
    default: z.unknown().optional(),
  }),
)

/** Every path of the file, whether it is a leaf, and the defaults it has; `*` is any name, `[]` an item of a list. */
const pathsOf = (schema: Node) => {
  const found = new Map<string, { leaf: boolean; defaults: unknown[] }>()
  const walk = (at: Node, path: string): void => {
    const below: [string, Node][] = Object.entries(at.properties ?? {}).map(([key, inner]) => [
      path === '' ? key : `${path}.${key}`,
      inner,
    ])
    if (typeof at.additionalProperties === 'object') below.push([`${path}.*`, at.additionalProperties])
    if (at.items !== undefined) below.push([`${path}[]`, at.items])
    if (path !== '') {
      const known = found.get(path) ?? { leaf: true, defaults: [] }
      const defaults = at.default === undefined ? known.defaults : [...known.defaults, at.default]
      found.set(path, { leaf: known.leaf && below.length === 0, defaults })
    }
    for (const [inner, value] of below) walk(value, inner)
    for (const branch of [...(at.anyOf ?? []), ...(at.oneOf ?? [])]) walk(branch, path)
  }
  walk(schema, '')
  return found
}

const page = read('docs/config.md')
const schema = pathsOf(node.parse(JSON.parse(read('config/schema.json'))))
const documented = new Map([...byName(page)].filter(([, row]) => row.length === 5))

/** The items of a list or map of plain values are described with it. */
const covered = (path: string): boolean => documented.has(path) || documented.has(path.replace(/(\[\]|\.\*)$/, ''))

test('docs/config.md has every setting of config/schema.json', () => {
  const missing = [...schema].filter(([path, { leaf }]) => leaf && !covered(path)).map(([path]) => path)
  assert.deepEqual(missing, [])
})

test('docs/config.md has no setting that config/schema.json does not have', () => {
  assert.deepEqual(
    [...documented.keys()].filter((path) => !schema.has(path)),
    [],
  )
})

test('docs/config.md gives the defaults of the schema', () => {
  for (const [path, [, type, told, reload, meaning]] of documented) {
    assert.ok(type && meaning, path)
    assert.match(reload ?? '', /^(yes|no|file)$/, path)
    for (const value of schema.get(path)?.defaults ?? []) {
      const text = Array.isArray(value) && value.length > 0 ? value.join('`, `') : value
      const shown = typeof text === 'object' ? JSON.stringify(text) : String(text)
      assert.ok(told?.includes(`\`${shown}\``), `${path}: ${shown}`)
    }
  }
})

test('docs/config.md names what is reserved', () => {
  const text = section(page, 'Reserved')
  assert.match(text, /`postgres:\/\/` in `store\.url`/)
})

test('docs/config.md has every fault code and no other', () => {
  const union = /export type FaultCode =([\s\S]*?)\n\n/.exec(read('src/config/faults.ts'))?.[1] ?? ''
  const codes = [...union.matchAll(/'([a-z_]+)'/g)].map(([, code]) => code ?? '')
  assert.ok(codes.length > 0)
  assert.deepEqual(difference(codes, byName(section(page, 'Fault codes')).keys()), same)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import Ajv2020 from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import type { RouteOptions } from 'fastify'
import { z } from 'zod'
import { roles } from '../../src/config/schema.ts'
import { createServer } from '../../src/http/server.ts'
import { createLogger } from '../../src/lib/log.ts'
import { createMetrics } from '../../src/lib/metrics.ts'
import { createDouble, start } from '../http/bridge.ts'
import { byName, difference, fenced, read, same, section } from './markdown.ts'

const page = read('docs/api.md')
const operation = z.looseObject({
  requestBody: z.unknown().optional(),
  responses: z.record(z.string(), z.looseObject({ content: z.record(z.string(), z.unknown()).optional() })),
})
const form = z.looseObject({ paths: z.record(z.string(), z.record(z.string(), operation)) })

/** The OpenAPI document, and who may call each route: as registered, without listening. */
const load = async () => {
  const access = new Map<string, string>()
  const log = createLogger({ level: 'silent' })
  const clock = { now: () => start }
  const bridge = createDouble()
  const app = createServer({ bridge, clients: () => [], log, metrics: createMetrics(), clock, version: '0.0.0' })
  app.addHook('onRoute', ({ url, method, config }: RouteOptions) => {
    const who = config?.access
    const path = url.replaceAll(/:(\w+)/g, '{$1}')
    if (who !== undefined)
      access.set(`${[method].flat().join(',')} ${path}`, who === 'public' ? 'none' : who.join(', '))
  })
  try {
    const answer = await app.inject('/openapi.json')
    const raw = JSON.parse(answer.body)
    const routes = Object.entries(form.parse(raw).paths).flatMap(([path, item]) =>
      Object.entries(item).map(([method, found]) => ({ path, method, found, name: `${method.toUpperCase()} ${path}` })),
    )
    return { raw, access, routes }
  } finally {
    await app.close()
  }
}

const headings = [...page.matchAll(/^### `([A-Z]+ [^`]+)`$/gm)].map(([, name]) => name ?? '')
const sectionOf = (name: string) => section(page, `\`${name}\``)
const pointer = (...path: string[]) =>
  `doc#/${path.map((step) => encodeURIComponent(step.replaceAll('/', '~1'))).join('/')}`

test('docs/api.md has every route of the OpenAPI document and no other', async () => {
  const { routes } = await load()
  assert.equal(new Set(headings).size, headings.length)
  const wanted = routes.map(({ name }) => name)
  assert.ok(wanted.length > 20)
  assert.deepEqual(difference(wanted, headings), same)
})

test('docs/api.md says who may call each route', async () => {
  const { routes, access } = await load()
  for (const { name } of routes) {
    const told = /^\*\*Role:\*\* ([^·(]+?) *(\([^)]*\) *)?·/m.exec(sectionOf(name))?.[1]
    assert.equal(told, access.get(name), name)
  }
})

test('docs/api.md has every role', () => {
  assert.deepEqual(difference(roles, byName(section(page, 'Roles')).keys()), same)
})

test('every example of docs/api.md is what the OpenAPI document describes', async () => {
  const { raw, routes } = await load()
  const ajv = new Ajv2020.default({ strict: false, allErrors: true })
  addFormats.default(ajv)
  ajv.addSchema({ $id: 'doc', ...raw })
  const fits = (value: unknown, references: string[], label: string) => {
    const faults = references.map(($ref) => (ajv.validate({ $ref }, value) ? '' : ajv.errorsText()))
    assert.ok(faults.includes(''), `${label}: ${faults.join('; ')}`)
  }
  let checked = 0
  for (const { name, path, method, found } of routes) {
    const text = sectionOf(name)
    const good = Object.entries(found.responses).filter(
      ([status, { content }]) => status.startsWith('2') && content !== undefined && 'application/json' in content,
    )
    const answers = good.map(([status]) =>
      pointer('paths', path, method, 'responses', status, 'content', 'application/json', 'schema'),
    )
    for (const block of fenced(text, 'json')) {
      fits(JSON.parse(block), answers, `${name} answer`)
      checked += 1
    }
    if (found.requestBody === undefined || path.startsWith('/hooks/')) continue
    const body = pointer('paths', path, method, 'requestBody', 'content', 'application/json', 'schema')
    for (const block of fenced(text, 'sh')) {
      const [, sent] = /-d '([^']+)'/.exec(block) ?? []
      if (sent === undefined) continue
      fits(JSON.parse(sent), [body], `${name} request`)
      checked += 1
    }
  }
  assert.ok(checked > 20, `${checked} examples`)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import Ajv2020 from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { z } from 'zod'
import { listen } from './listen.ts'

/** What OpenAPI 3.1 asks of a document, as far as ours goes. */
const response = {
  type: 'object',
  required: ['description'],
  properties: {
    description: { type: 'string', minLength: 1, not: { const: 'Default Response' } },
    content: { type: 'object', additionalProperties: { type: 'object', required: ['schema'] } },
  },
}
const parameter = {
  type: 'object',
  required: ['name', 'in', 'schema'],
  properties: { in: { enum: ['path', 'query', 'header'] }, schema: { type: 'object' }, required: { type: 'boolean' } },
  if: { properties: { in: { const: 'path' } } },
  // biome-ignore lint/suspicious/noThenProperty: the JSON Schema keyword
  then: { required: ['required'], properties: { required: { const: true } } },
}
const operation = {
  type: 'object',
  required: ['operationId', 'summary', 'tags', 'security', 'responses'],
  properties: {
    operationId: { type: 'string', pattern: '^[a-z][A-Za-z]+$' },
    tags: { type: 'array', minItems: 1 },
    security: { type: 'array', items: { type: 'object', additionalProperties: { type: 'array' } } },
    parameters: { type: 'array', items: parameter },
    requestBody: { type: 'object', required: ['content', 'required'] },
    responses: {
      type: 'object',
      minProperties: 1,
      patternProperties: { '^[1-5]\\d\\d$': response },
      additionalProperties: false,
    },
  },
}
const meta = {
  type: 'object',
  required: ['openapi', 'info', 'paths', 'components'],
  properties: {
    openapi: { type: 'string', pattern: '^3\\.1\\.\\d+$' },
    info: { type: 'object', required: ['title', 'version'] },
    servers: { type: 'array', items: { type: 'object', required: ['url'] } },
    paths: {
      type: 'object',
      propertyNames: { pattern: '^/' },
      additionalProperties: {
        type: 'object',
        propertyNames: { enum: ['get', 'put', 'post', 'patch', 'delete', 'options'] },
        additionalProperties: operation,
      },
    },
    components: {
      type: 'object',
      required: ['schemas', 'securitySchemes'],
      properties: { schemas: { type: 'object', propertyNames: { pattern: '^[A-Za-z0-9._-]+$' } } },
    },
  },
}

const operationForm = z.looseObject({
  operationId: z.string(),
  tags: z.array(z.string()),
  security: z.array(z.record(z.string(), z.array(z.string()))),
  parameters: z.array(z.object({ name: z.string(), in: z.string() })).default([]),
  responses: z.record(z.string(), z.looseObject({ content: z.record(z.string(), z.unknown()).optional() })),
})
const documentForm = z.looseObject({
  servers: z.array(z.object({ url: z.string() })),
  tags: z.array(z.object({ name: z.string() })),
  paths: z.record(z.string(), z.record(z.string(), operationForm)),
  components: z.looseObject({
    schemas: z.record(z.string(), z.looseObject({ examples: z.array(z.unknown()).default([]) })),
  }),
})

const ajv = () => {
  const instance = new Ajv2020.default({ strict: false, allErrors: true })
  addFormats.default(instance)
  return instance
}

const load = async () => {
  await using server = await listen({ publicUrl: 'https://bridge.contoso.com' })
  const { status, text, headers } = await server.ask('/openapi.json')
  assert.equal(status, 200)
  assert.match(headers['content-type'] ?? '', /^application\/json/)
  const raw: unknown = JSON.parse(text)
  return { raw, document: documentForm.parse(raw), text }
}

test('the document is OpenAPI 3.1, and says who may call what', async () => {
  const { raw, document } = await load()
  const validator = ajv()
  assert.ok(validator.validate(meta, raw), validator.errorsText())
  assert.deepEqual(document.servers, [{ url: 'https://bridge.contoso.com' }])
  const tags = new Set(document.tags.map(({ name }) => name))
  const ids = new Set<string>()
  for (const [path, item] of Object.entries(document.paths)) {
    for (const [method, found] of Object.entries(item)) {
      const label = `${method} ${path}`
      assert.ok(!ids.has(found.operationId), label)
      ids.add(found.operationId)
      assert.ok(
        found.tags.every((tag) => tags.has(tag)),
        label,
      )
      const named = found.parameters.filter((given) => given.in === 'path').map(({ name }) => name)
      assert.deepEqual(
        named,
        [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name),
        label,
      )
      const secured = /^\/(v1|access|oauth2|annotate)/.test(path) && !path.startsWith('/v1/agents/self')
      const basic = path.startsWith('/oauth2/') ? [{ basic: [] }] : []
      assert.deepEqual(found.security, secured ? [{ bearer: [] }, ...basic, { certificate: [] }] : [], label)
      assert.ok(
        Object.keys(found.responses).some((status) => status.startsWith('2')),
        label,
      )
      const problems = Object.entries(found.responses).filter(
        ([, { content }]) => content && 'application/problem+json' in content,
      )
      const statuses = problems.map(([status]) => status)
      for (const status of secured ? ['401', '403', '500', '503'] : ['500']) assert.ok(statuses.includes(status), label)
      const keyed = found.parameters.some(({ name }) => name === 'Idempotency-Key')
      assert.equal(keyed, secured && method === 'post' && !path.endsWith('/ack'), label)
    }
  }
})

test('every schema compiles, nothing refers to what is missing, every example is valid', async () => {
  const { text, document } = await load()
  const validator = ajv()
  validator.addSchema({ $id: 'doc', ...JSON.parse(text) })
  for (const [, name] of text.matchAll(/"#\/components\/schemas\/([^"]+)"/g)) {
    assert.ok(Object.hasOwn(document.components.schemas, String(name)), name)
  }
  let examples = 0
  for (const [name, schema] of Object.entries(document.components.schemas)) {
    const validate = validator.getSchema(`doc#/components/schemas/${name}`)
    assert.ok(validate, name)
    for (const example of schema.examples) {
      examples++
      assert.ok(validate(example), `${name}: ${validator.errorsText(validate.errors)}`)
    }
  }
  assert.ok(examples >= 10, String(examples))
})

test('answers are as documented', async () => {
  const { text } = await load()
  const validator = ajv()
  validator.addSchema({ $id: 'doc', ...JSON.parse(text) })
  await using server = await listen()
  const did = 'did:agentmesh:a'
  const agent = { did, name: 'a', capabilities: ['read:x'], sponsor: { email: 'a@b.example' } }
  const body = { severity: 'kill', reason: 'r' }
  const evaluation = {
    subject: { type: 'agent', id: did },
    action: { name: 'read' },
    resource: { type: 'capability', id: 'x' },
  }
  const rows = [
    ['Agent', await server.ask('/v1/agents', { as: 'registrar', body: agent })],
    ['Hold', await server.ask(`/v1/agents/${did}/holds`, { as: 'responder', body })],
    ['Agent', await server.ask(`/v1/agents/${did}`, { as: 'reader' })],
    ['Release', await server.ask(`/v1/agents/${did}/holds/hold-1/release`, { as: 'responder', body: { reason: 'r' } })],
    ['Killed', await server.ask('/v1/kill', { as: 'runtime', body: { did } })],
    ['Decision', await server.ask('/v1/decisions', { as: 'gateway', body: { did } })],
    ['PolicyResult', await server.ask('/v1/data/agentmesh/allow', { as: 'gateway', body: { input: { did } } })],
    ['Annotation', await server.ask('/annotate', { as: 'gateway', body: { input: did } })],
    ['EvaluationDecision', await server.ask('/access/v1/evaluation', { as: 'gateway', body: evaluation })],
    ['VerifiedToken', await server.ask('/v1/tokens/verify', { as: 'gateway', body: { token: 'good' } })],
    ['RefusedToken', await server.ask('/v1/tokens/verify', { as: 'gateway', body: { token: 'bad' } })],
    ['Guard', await server.ask('/v1/guard/contoso', { as: 'reader' })],
    ['Plan', await server.ask('/v1/plan', { as: 'reader' })],
    ['Status', await server.ask('/v1/status', { as: 'reader' })],
    ['Readiness', await server.ask('/readyz')],
    ['Problem', await server.ask('/v1/nothing')],
  ] as const
  for (const [name, { json }] of rows) {
    const validate = validator.getSchema(`doc#/components/schemas/${name}`)
    assert.ok(validate?.(json), `${name}: ${validator.errorsText(validate?.errors)}`)
  }
})

test('the documentation is served from here alone, and its policy allows no inline script', async () => {
  await using server = await listen()
  for (const path of ['/docs', '/docs/']) {
    const page = await server.ask(path)
    assert.equal(page.status, 200)
    assert.doesNotMatch(page.text, /https?:|\/\/[a-z]/i)
    const policy = String(page.headers['content-security-policy'])
    assert.match(policy, /default-src 'none'/)
    assert.match(policy, /script-src 'self'(;|$)/)
    assert.match(policy, /frame-ancestors 'none'/)
    assert.equal(page.headers['x-content-type-options'], 'nosniff')
    const scripts = [...page.text.matchAll(/<script([^>]*)>([^<]*)<\/script>/g)]
    assert.ok(scripts.length > 0)
    for (const [, attributes, inline] of scripts) {
      assert.match(String(attributes), /src="/)
      assert.equal(String(inline).trim(), '')
    }
    assert.doesNotMatch(page.text, /\son[a-z]+=|<style|style=|javascript:/i)
    const assets = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, asset]) => String(asset))
    for (const asset of assets) {
      const { pathname } = new URL(asset, `http://localhost${path}`)
      const { status, text, headers } = await server.ask(pathname)
      assert.equal(status, 200, pathname)
      assert.match(String(headers['content-security-policy']), /script-src 'self'/, pathname)
      if (pathname.endsWith('.css')) assert.doesNotMatch(text, /url\(\s*["']?https?:|@import/)
      if (pathname.endsWith('initializer.js')) assert.match(text, /validatorUrl: null/)
    }
  }
  assert.equal((await server.ask('/docs/json')).status, 200)
})

test('what is answered about things that are not there is described', async () => {
  await using server = await listen()
  const { json } = await server.ask('/openapi.json')
  const described = z.object({ responses: z.record(z.string(), z.unknown()) })
  const paths = z.record(z.string(), z.record(z.string(), described)).parse(json?.paths)
  for (const [path, method, status] of [
    ['/v1/guard/{adapter}', 'get', '404'],
    ['/v1/guard/{adapter}/approve', 'post', '404'],
    ['/v1/signals/{seq}/ack', 'post', '404'],
    ['/v1/principals', 'get', '431'],
  ] as const) {
    assert.ok(paths[path]?.[method]?.responses[status], `${method} ${path} ${status}`)
  }
})

import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance, RouteOptions } from 'fastify'
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod'
import { type ErrorCode, errorTable } from '../core/errors.ts'
import { problemSchema, problemType } from './problem.ts'
import { titles } from './titles.ts'

/** Only what swagger-ui ships with, from here; it styles by inline attributes, but runs no inline script. */
const docsPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

const everywhere: readonly ErrorCode[] = ['E_BUG', 'E_STORE', 'E_SHUTTING_DOWN']
const secured: readonly ErrorCode[] = ['E_UNAUTHENTICATED', 'E_FORBIDDEN', 'E_RATE', 'E_JWKS_DOWN']
const withBody: readonly ErrorCode[] = ['E_VALIDATION', 'E_JSON', 'E_TOO_LARGE', 'E_MEDIA_TYPE']

/** The problem documents a route may answer, one response a status, with the codes it may carry. */
const problems = (codes: readonly ErrorCode[]) => {
  const byStatus = Map.groupBy(new Set(codes), (code) => errorTable[code].status)
  return Object.fromEntries(
    [...byStatus].map(([status, group]) => {
      const description = group.map((code) => `\`${code}\` ${titles[code]}.`).join(' ')
      return [status, { description, content: { [problemType]: { schema: problemSchema } } }]
    }),
  )
}

/** Adds to a route's schema what follows from its access, body and parameters. */
export const documentRoute = (route: RouteOptions): void => {
  const { schema, config } = route
  if (schema === undefined || schema.hide === true || config === undefined) return
  const open = config.access === 'public'
  const keyed = route.method === 'POST' && !open && !route.url.endsWith('/ack')
  const codes: ErrorCode[] = [...everywhere, ...(config.errors ?? [])]
  if (!open) codes.push(...secured)
  else if (config.unlimited !== true) codes.push('E_RATE')
  if (schema.body !== undefined && !open) codes.push(...withBody)
  if (schema.params !== undefined || schema.querystring !== undefined) codes.push('E_VALIDATION')
  if (keyed) codes.push('E_IDEMPOTENCY_BODY', 'E_BUDGET')
  const own = typeof schema.response === 'object' ? schema.response : {}
  const security = open ? [] : [{ bearer: [] }, ...(config.oauth === true ? [{ basic: [] }] : [])]
  route.schema = { ...schema, security, response: { ...problems(codes), ...own } }
}

type Json = null | boolean | number | string | Json[] | { [name: string]: Json }
type JsonObject = { [name: string]: Json }

const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const at = (value: JsonObject, ...path: string[]): JsonObject =>
  path.reduce<JsonObject>((inner, step) => {
    const next = inner[step]
    return isObject(next) ? next : {}
  }, value)

const refs = (value: Json | undefined): string[] => {
  if (Array.isArray(value)) return value.flatMap(refs)
  if (!isObject(value)) return []
  return Object.entries(value).flatMap(([name, inner]) =>
    name === '$ref' && typeof inner === 'string' ? [inner.slice(inner.lastIndexOf('/') + 1)] : refs(inner),
  )
}

/** The generator names every schema twice, as input and as output: keeps those that something refers to. */
const reachable = (document: JsonObject): JsonObject => {
  const schemas = at(document, 'components', 'schemas')
  const kept: JsonObject = {}
  const queue = refs(document.paths)
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    const schema = schemas[name]
    if (schema === undefined || Object.hasOwn(kept, name)) continue
    kept[name] = schema
    queue.push(...refs(schema))
  }
  return Object.fromEntries(Object.entries(kept).sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** A schema used only as input loses the suffix that told it from its output. */
const rename = (document: JsonObject, schemas: JsonObject): JsonObject => {
  const short = (name: string) => {
    const base = name.replace(/Input$/, '')
    return Object.hasOwn(schemas, base) ? name : base
  }
  const named = Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [short(name), schema]))
  const renamed = { ...document, components: { ...at(document, 'components'), schemas: named } }
  const prefix = '#/components/schemas/'
  return JSON.parse(JSON.stringify(renamed), (key, value: Json) =>
    key === '$ref' && typeof value === 'string' ? prefix + short(value.slice(prefix.length)) : value,
  )
}

const idempotencyKey: JsonObject = {
  name: 'Idempotency-Key',
  in: 'header',
  required: false,
  description: 'Kept for 7 days: a repeat with the same body reports the present state and does nothing again',
  schema: { type: 'string', minLength: 1, maxLength: 200 },
}

/** A kind of OpenAPI 3.1 that the generator does not know. */
const certificate: JsonObject = {
  type: 'mutualTLS',
  description: 'Certificate of such a client: by its fingerprint, or by the name that an authority wrote into it',
}

/** What the generator cannot know: optional bodies, the idempotency header, unused schemas. */
const finish = (document: JsonObject): JsonObject => {
  for (const [url, item] of Object.entries(at(document, 'paths'))) {
    if (!isObject(item)) continue
    for (const { security } of Object.values(item).filter(isObject)) {
      if (Array.isArray(security) && security.length > 0) security.push({ certificate: [] })
    }
    const post = at(item, 'post')
    if (Array.isArray(post.security) && post.security.length > 0 && !url.endsWith('/ack')) {
      const known = post.parameters
      post.parameters = [...(Array.isArray(known) ? known : []), idempotencyKey]
    }
    const body = at(post, 'requestBody')
    const variants = at(body, 'content', 'application/json', 'schema').anyOf
    if (Array.isArray(variants) && variants.some((variant) => isObject(variant) && variant.type === 'null')) {
      body.required = false
    }
  }
  const schemas = reachable(document)
  const securitySchemes = { ...at(document, 'components', 'securitySchemes'), certificate }
  return rename({ ...document, components: { ...at(document, 'components'), securitySchemes, schemas } }, schemas)
}

const tags = [
  { name: 'agents', description: 'Registrations: which accounts an agent has' },
  { name: 'imports', description: 'Many registrations as one file' },
  { name: 'blueprints', description: 'What agents of a kind have in common' },
  { name: 'tools', description: 'Which tools may be called, and what that takes' },
  { name: 'holds', description: 'Why an agent must not act' },
  { name: 'decisions', description: 'May it act now?' },
  { name: 'publishing', description: 'What is checked without asking the bridge' },
  { name: 'signals', description: 'What runtimes receive' },
  { name: 'hooks', description: 'What directories deliver' },
  { name: 'audit', description: 'What happened, provably' },
  { name: 'operation', description: 'How the bridge is doing' },
  { name: 'health', description: 'For the machinery around it' },
]

/** `/openapi.json` and `/docs`. Register before the routes. */
export const describeApi = (app: FastifyInstance, version: string, publicUrl: string | undefined): void => {
  let finished: JsonObject | undefined
  const document = (): JsonObject => {
    finished ??= finish(JSON.parse(JSON.stringify(app.swagger())))
    return finished
  }
  app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Identity bridge',
        version,
        description:
          'Maps AI agents to directory accounts and carries suspensions both ways. Failures are problem documents ' +
          '(RFC 9457); a refusal is an answer with codes. Routes under /v1 only gain optional members.',
        license: { name: 'MIT', identifier: 'MIT' },
      },
      servers: [{ url: publicUrl ?? '/' }],
      tags,
      components: {
        securitySchemes: {
          bearer: {
            type: 'http',
            scheme: 'bearer',
            description: 'Token of a client under auth.clients, or of a directory under auth.oidc',
          },
          basic: { type: 'http', scheme: 'basic', description: 'Name of such a client, and its token as password' },
        },
      },
    },
    transform: jsonSchemaTransform,
    transformObject: jsonSchemaTransformObject,
  })
  app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: docsPolicy,
    // Its own bar offers to load documents from elsewhere, which the policy forbids.
    theme: {
      title: 'Identity bridge API',
      css: [{ filename: 'bar.css', content: '.swagger-ui .topbar { display: none }' }],
    },
    uiConfig: { docExpansion: 'list', deepLinking: true },
    transformSpecification: document,
    transformSpecificationClone: false,
  })
  app.get('/openapi.json', { schema: { hide: true } }, async () => document())
}

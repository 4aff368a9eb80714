import { z } from 'zod'
import { staged } from '../faults.ts'
import { alter } from './alter.ts'
import { faultAnswer, runCall } from './graph.ts'
import { type Answer, badRequest, type Call, type Caller, ok } from './wire.ts'
import type { World } from './world.ts'

const item = z.object({
  id: z.string().min(1),
  method: z.string(),
  url: z.string(),
  headers: z.record(z.string(), z.string()).optional(),
  body: z.unknown().optional(),
  dependsOn: z.array(z.string()).optional(),
})
const batch = z.strictObject({ requests: z.array(item).min(1) })
type Item = z.infer<typeof item>

interface Response {
  readonly id: string
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body?: unknown
}

/** `POST /$batch`: at most 20 requests, all parallel or all one after another; answers come in reverse order. */
export function runBatch(world: World, body: unknown, caller: Caller, seq: number): Answer {
  const parsed = batch.safeParse(body)
  if (!parsed.success) throw badRequest('Invalid batch payload format.')
  const items = parsed.data.requests
  check(items)
  const responses = new Map<string, Response>()
  for (const each of items) {
    const failed = each.dependsOn?.some((id) => (responses.get(id.toLowerCase())?.status ?? 0) >= 400) === true
    responses.set(each.id.toLowerCase(), failed ? failedDependency(each) : runItem(world, each, caller, seq))
  }
  return ok({ responses: [...responses.values()].reverse() })
}

/** The bodies of its items with that method and address, as they are. */
export function batched(body: unknown, method: string, url: string): unknown[] {
  const parsed = batch.safeParse(body)
  if (!parsed.success) return []
  return parsed.data.requests
    .filter((each) => each.method.toUpperCase() === method && each.url === url)
    .map((each) => each.body)
}

function check(items: readonly Item[]): void {
  if (items.length > 20) throw badRequest(`Number of batch request steps exceeds the maximum value of 20.`)
  const ids = items.map((each) => each.id.toLowerCase())
  if (new Set(ids).size !== ids.length) throw badRequest('Request ids must be unique.')
  for (const [index, each] of items.entries()) {
    const type = each.headers === undefined ? undefined : headerOf(each.headers)('content-type')
    const needsBody = each.method.toUpperCase() === 'PATCH'
    if ((each.body !== undefined && type === undefined) || (needsBody && each.body === undefined)) {
      throw badRequest(`Write request id : ${each.id} does not contain Content-Type header or body.`)
    }
    for (const id of each.dependsOn ?? []) {
      if (!ids.slice(0, index).includes(id.toLowerCase())) throw badRequest(`Invalid dependsOn value '${id}'.`)
    }
  }
  const dependent = items.filter((each) => each.dependsOn !== undefined && each.dependsOn.length > 0)
  const serial = items.every((each, index) => {
    const previous = ids[index - 1]
    return previous === undefined || (each.dependsOn?.length === 1 && each.dependsOn[0]?.toLowerCase() === previous)
  })
  if (dependent.length > 0 && !serial) throw badRequest('Batch requests must be fully parallel or fully serial.')
}

function runItem(world: World, each: Item, caller: Caller, seq: number): Response {
  const header = headerOf(each.headers ?? {})
  const method = each.method.toUpperCase()
  const entry = world.requests.open({
    at: world.steady(),
    surface: 'graph',
    method,
    path: each.url,
    body: each.body,
    header,
    batch: seq,
  })
  entry.appId = caller.appId
  const target = { method, path: each.url, header }
  const fault = world.faults.take(target, true)
  const answer = staged<Answer>(fault, {
    run: () => answerItem(world, each, method, caller, header),
    refused: (given) => faultAnswer(world, target, given),
    altered: (how, run) => alter(world, each.url, how, run),
  })
  if (answer === undefined) throw new Error('a batch item without an answer')
  world.requests.close(entry, answer.status)
  const type = answer.body === undefined ? {} : { 'Content-Type': 'application/json' }
  const { status, headers, body } = answer
  return { id: each.id, status, headers: { ...type, ...headers }, ...(body === undefined ? {} : { body }) }
}

function answerItem(
  world: World,
  each: Item,
  method: string,
  caller: Caller,
  header: (name: string) => string | undefined,
): Answer {
  if (!each.url.startsWith('/') || each.url.startsWith('//')) {
    return faultAnswer(
      world,
      { method, path: each.url, header },
      { status: 400, code: 'BadRequest', message: relative },
    )
  }
  const { segments, search } = split(each.url)
  return runCall(world, { method, path: each.url, segments, search, header, body: each.body, caller })
}

const relative = 'The url of a batch item must be relative to the version root.'

/** Path segments, decoded, and the query, of a path below the version root. */
export function split(path: string): Pick<Call, 'segments' | 'search'> {
  const mark = path.indexOf('?')
  const pathname = mark < 0 ? path : path.slice(0, mark)
  const segments = pathname.split('/').filter((part) => part !== '')
  try {
    return {
      segments: segments.map((part) => decodeURIComponent(part)),
      search: new URLSearchParams(mark < 0 ? '' : path.slice(mark + 1)),
    }
  } catch (cause) {
    throw Object.assign(badRequest('Malformed request URL.'), { cause })
  }
}

function failedDependency(each: Item): Response {
  const error = { code: 'FailedDependency', message: 'The request depends on a request that failed.' }
  return { id: each.id, status: 424, headers: { 'Content-Type': 'application/json' }, body: { error } }
}

function headerOf(headers: Readonly<Record<string, string>>): (name: string) => string | undefined {
  const lower = new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
  return (name) => lower.get(name)
}

import type { Answer } from '../faults.ts'
import { parseJson } from '../incoming.ts'
import type { Refusal } from './errors.ts'

/** The two protocols: Query in, XML out; and JSON both ways. */

export type Service = 'iam' | 'sts' | 'sns' | 'identitystore' | 'sqs' | 'cloudtrail'

interface Spoken {
  /** Namespace of the answers of the Query protocol; undefined where JSON is spoken. */
  readonly xmlns?: string
  /** First part of `X-Amz-Target`. */
  readonly target?: string
  readonly type: string
}

const spoken: Readonly<Record<Service, Spoken>> = {
  iam: { xmlns: 'https://iam.amazonaws.com/doc/2010-05-08/', type: 'text/xml' },
  sts: { xmlns: 'https://sts.amazonaws.com/doc/2011-06-15/', type: 'text/xml' },
  sns: { xmlns: 'https://sns.amazonaws.com/doc/2010-03-31/', type: 'text/xml' },
  identitystore: { target: 'AWSIdentityStore', type: 'application/x-amz-json-1.1' },
  sqs: { target: 'AmazonSQS', type: 'application/x-amz-json-1.0' },
  cloudtrail: { target: 'CloudTrail_20131101', type: 'application/x-amz-json-1.1' },
}

export function isService(name: string): name is Service {
  return Object.hasOwn(spoken, name)
}

export function isQuery(service: Service): boolean {
  return spoken[service].xmlns !== undefined
}

export type Params = Readonly<Record<string, unknown>>
/** Members of an answer: rendered as XML or as JSON. */
export type Output = Readonly<Record<string, unknown>>

export interface Asked {
  readonly service: Service
  readonly action: string
  readonly params: Params
}

/** What a request asks for by its form alone; undefined when it is no call of any service here. */
export function asked(
  text: string,
  { service, target }: { service: string | undefined; target: string | undefined },
): Asked | undefined {
  if (target !== undefined) {
    const [prefix, action = ''] = target.split('.')
    const found = Object.entries(spoken).find(([, each]) => each.target === prefix)?.[0]
    const params = parseJson(text) ?? {}
    if (found === undefined || !isService(found) || !isParams(params)) return undefined
    return { service: found, action, params }
  }
  const form = new URLSearchParams(text)
  const action = form.get('Action')
  const version = form.get('Version')
  const found =
    service ??
    Object.entries(spoken).find(([, { xmlns }]) => version !== null && xmlns?.includes(`/${version}/`) === true)?.[0]
  if (action === null || found === undefined || !isService(found) || !isQuery(found)) return undefined
  return { service: found, action, params: unflattened(form) }
}

function isParams(value: unknown): value is Params {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** `Tags.member.1.Key=a` is a list of objects. Names and numbers are the caller's: nothing is built from wild ones. */
function unflattened(form: URLSearchParams): Params {
  const root = new Map<string, unknown>()
  for (const [name, value] of form) {
    if (name === 'Action' || name === 'Version') continue
    let at = root
    const parts = name.split('.').filter((part) => part !== 'member')
    for (const part of parts.slice(0, -1)) {
      const next = at.get(part)
      const inner = next instanceof Map ? next : new Map<string, unknown>()
      at.set(part, inner)
      at = inner
    }
    at.set(parts.at(-1) ?? '', value)
  }
  const plain = plainOf(root)
  return isParams(plain) ? plain : {}
}

function plainOf(value: unknown): unknown {
  if (!(value instanceof Map)) return value
  const names = [...value.keys()].map(String)
  if (names.length > 0 && names.every((name) => /^[1-9]\d{0,3}$/.test(name))) return [...value.values()].map(plainOf)
  return Object.fromEntries([...value].map(([name, inner]) => [String(name), plainOf(inner)]))
}

/** An answer that says yes. */
export function answerOf({ action, service }: Asked, output: Output | undefined, requestId: string): Answer {
  const { type, xmlns } = spoken[service]
  const headers = { 'Content-Type': type, 'x-amzn-RequestId': requestId }
  if (xmlns === undefined) return { status: 200, headers, body: output ?? {} }
  const result = output === undefined ? '' : `<${action}Result>${xml(output)}</${action}Result>`
  const metadata = `<ResponseMetadata><RequestId>${requestId}</RequestId></ResponseMetadata>`
  return {
    status: 200,
    headers,
    body: `<${action}Response xmlns="${xmlns}">${result}${metadata}</${action}Response>`,
  }
}

/** One that says no. */
export function refusalAnswer(service: Service, refusal: Refusal, requestId: string): Answer {
  const { type, xmlns } = spoken[service]
  const { code, details, message, status } = refusal
  const headers = { 'Content-Type': type, 'x-amzn-RequestId': requestId }
  if (xmlns === undefined) {
    const message_ = service === 'sqs' ? { message } : { Message: message, message }
    return { status, headers, body: { __type: code, ...message_, ...details } }
  }
  const error = xml({ Type: status < 500 ? 'Sender' : 'Receiver', Code: code, Message: message, ...details })
  const body = `<ErrorResponse xmlns="${xmlns}"><Error>${error}</Error><RequestId>${requestId}</RequestId></ErrorResponse>`
  return { status, headers, body }
}

function xml(value: unknown): string {
  if (value === undefined || value === null) return ''
  if (Array.isArray(value)) return value.map((each) => `<member>${xml(each)}</member>`).join('')
  if (typeof value !== 'object') return escaped(String(value))
  return Object.entries(value)
    .filter(([, inner]) => inner !== undefined)
    .map(([name, inner]) => `<${name}>${xml(inner)}</${name}>`)
    .join('')
}

const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }

function escaped(text: string): string {
  return text.replaceAll(/[&<>"]/g, (sign) => entities[sign] ?? sign)
}

export function iso(ms: number): string {
  return new Date(ms).toISOString()
}

/** As IAM and CloudTrail write a time: to the second. */
export function isoSeconds(ms: number): string {
  return `${iso(ms).slice(0, 19)}Z`
}

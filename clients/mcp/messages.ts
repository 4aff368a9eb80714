import { isMembers, type Members, parsed } from '../agt/frames.ts'
import type { RequestLike } from './sdk.ts'

/** A call of a tool, as a client sent it. */
export interface ToolCall {
  readonly tool: string
  readonly arguments: Readonly<Record<string, unknown>>
}

export interface Message {
  /** Undefined of a notification or an answer: nobody waits for one to it. */
  readonly id: string | number | undefined
  readonly call: ToolCall | undefined
}

/** What a POST carries, or why it is none. */
export type Body =
  | { readonly messages: readonly Message[]; readonly batch: boolean }
  | {
      readonly fault: string
      readonly rpc: -32700 | -32600 | -32602
      readonly status: 400 | 413
      readonly id?: Message['id']
    }

const maxMessages = 100
const maxToolName = 256

const mostParameterBytes = 16 * 1024
const mostLevels = 32

const isFlat = (value: unknown, levels: number): boolean =>
  typeof value !== 'object' ||
  value === null ||
  (levels > 0 && Object.values(value).every((one) => isFlat(one, levels - 1)))

/**
 * Whether arguments can be judged. Larger ones are not asked about: of a tool whose rule does not speak of arguments that
 * refuses nothing, and of any other it does.
 */
export const isSmall = (given: Members): boolean =>
  isFlat(given, mostLevels) && Buffer.byteLength(JSON.stringify(given)) <= mostParameterBytes

/**
 * Whether a value reads the same wherever JSON takes it: no number past the doubles, which would be written as null, no half
 * of a surrogate pair (RFC 7493), and no member that some readers take for a prototype.
 */
const isSound = (given: unknown): boolean => {
  const left = [given]
  while (left.length > 0) {
    const one = left.pop()
    if (typeof one === 'number' && !Number.isFinite(one)) return false
    if (typeof one === 'string' && !one.isWellFormed()) return false
    if (typeof one !== 'object' || one === null) continue
    for (const [name, inner] of Object.entries(one)) {
      if (name === '__proto__' || !name.isWellFormed()) return false
      if (name === 'constructor' && isMembers(inner) && Object.hasOwn(inner, 'prototype')) return false
      left.push(inner)
    }
  }
  return true
}

const idOf = ({ id }: Members): Message['id'] => (typeof id === 'string' || typeof id === 'number' ? id : undefined)

const callOf = ({ params }: Members): ToolCall | undefined => {
  if (!isMembers(params)) return undefined
  const { name, arguments: given = {} } = params
  if (typeof name !== 'string' || name === '' || name.length > maxToolName || !isMembers(given)) return undefined
  if (!isSound(name) || !isSound(given)) return undefined
  return { tool: name, arguments: given }
}

/**
 * JSON-RPC messages of a parsed body. The same value is handed on to the server, so that it cannot read another call out of
 * it than was judged here; what is not understood here is not handed on.
 */
export const messagesOf = (body: unknown): Body => {
  const batch = Array.isArray(body)
  const list: readonly unknown[] = batch ? body : [body]
  if (list.length === 0 || list.length > maxMessages) {
    return { fault: `A batch has from 1 to ${maxMessages} messages.`, rpc: -32600, status: 400 }
  }
  const messages: Message[] = []
  for (const one of list) {
    if (!isMembers(one) || one.jsonrpc !== '2.0') return { fault: 'Not a JSON-RPC message.', rpc: -32600, status: 400 }
    const id = idOf(one)
    if (one.method !== 'tools/call') {
      messages.push({ id, call: undefined })
      continue
    }
    const call = callOf(one)
    if (call === undefined) {
      const fault = 'A tool call names a tool, and its arguments are an object that JSON can carry.'
      return { fault, rpc: -32602, status: 400, id: batch ? undefined : id }
    }
    messages.push({ id, call })
  }
  return { messages, batch }
}

/** Undefined when it is over the limit. Rejects when whoever sends it is gone. */
const textOf = async (request: RequestLike, most: number): Promise<string | undefined> => {
  const chunks: Buffer[] = []
  let size = 0
  // What is over the limit is left for Node to drop: destroyed, the request could not be answered any more.
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    if (!(chunk instanceof Uint8Array)) throw new Error('the body was decoded already')
    size += chunk.length
    if (size > most) return undefined
    chunks.push(Buffer.from(chunk))
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** As a parser before us left it, or else read here and left for whoever comes after us. */
export const readBody = async (request: RequestLike, most: number): Promise<Body> => {
  if (request.body === undefined) {
    const text = await textOf(request, most).catch(() => '')
    if (text === undefined) return { fault: `The body is over ${most} bytes.`, rpc: -32600, status: 413 }
    const body = parsed(text)
    if (body === undefined) return { fault: 'The body is not JSON.', rpc: -32700, status: 400 }
    request.body = body
  }
  return messagesOf(request.body)
}

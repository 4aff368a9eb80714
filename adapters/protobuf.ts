import { fromJSON } from '@grpc/proto-loader'
import { BridgeError } from '../src/core/errors.ts'
import type { Method } from './grpc.ts'

/** Messages and services in the JSON form of protobuf.js: the few of a foreign API that are used, by their field numbers. */
export type Fields = Readonly<Record<string, readonly [type: string, id: number, rule?: 'repeated']>>

export const message = (fields: Fields, nested?: Readonly<Record<string, object>>) => ({
  fields: Object.fromEntries(
    Object.entries(fields).map(([name, [type, id, rule]]) => [name, { type, id, ...(rule && { rule }) }]),
  ),
  ...(nested && { nested }),
})
export const service = (
  methods: Readonly<Record<string, readonly [request: string, response: string, stream?: 'stream']>>,
) => ({
  methods: Object.fromEntries(
    Object.entries(methods).map(([name, [requestType, responseType, stream]]) => [
      name,
      { requestType, responseType, comment: '', ...(stream && { responseStream: true }) },
    ]),
  ),
})

/** The calls of the services that `root` describes. */
export function methodsOf(root: Parameters<typeof fromJSON>[0]) {
  const definitions = fromJSON(root, { keepCase: true, longs: String, defaults: true })
  return (of: string, name: string): Method => {
    const definition = definitions[of]
    const found = definition && !('format' in definition) ? definition[name] : undefined
    if (!found) throw new BridgeError('E_BUG', `${of} has no ${name}`)
    return found
  }
}

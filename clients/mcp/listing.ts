import { isMembers } from '../agt/frames.ts'
import type { ServerLike, TransportLike } from './sdk.ts'

/** Of a list of tools those that may be seen by whom this `authInfo` was made for. Never rejects. */
export type Visible = (authInfo: unknown, tools: readonly unknown[]) => Promise<readonly unknown[]>

/** Clients that cancel never get their answer. */
const maxPending = 1_000

const isList = (message: unknown): message is { readonly id: string | number } =>
  isMembers(message) &&
  message.method === 'tools/list' &&
  (typeof message.id === 'string' || typeof message.id === 'number')

const filterOn = (transport: TransportLike, visible: Visible): void => {
  const pending = new Map<unknown, unknown[]>()
  const { onmessage, send } = transport
  const noted = (message: unknown, extra: unknown): void => {
    if (!isList(message)) return
    const authInfo = isMembers(extra) ? extra.authInfo : undefined
    if (pending.size >= maxPending) for (const oldest of pending.keys()) if (pending.delete(oldest)) break
    pending.set(message.id, [...(pending.get(message.id) ?? []), authInfo])
  }
  const filtered = async (message: unknown): Promise<unknown> => {
    if (!isMembers(message) || !isMembers(message.result) || !Array.isArray(message.result.tools)) return message
    const [authInfo, ...rest] = pending.get(message.id) ?? []
    if (rest.length > 0) pending.set(message.id, rest)
    else pending.delete(message.id)
    // Of a list that nobody is known to have asked for nothing is shown.
    return { ...message, result: { ...message.result, tools: await visible(authInfo, message.result.tools) } }
  }
  transport.onmessage = (message, extra) => {
    noted(message, extra)
    onmessage?.call(transport, message, extra)
  }
  transport.send = async (message, options) => send.call(transport, await filtered(message), options)
}

/** From its next connection on. Version 1 and 2 alike: both hand what they answer to a transport. */
export const filterTools = (server: ServerLike, visible: Visible): void => {
  const inner = server.server ?? server
  const { connect } = inner
  inner.connect = async (transport) => {
    await connect.call(inner, transport)
    filterOn(transport, visible)
  }
}

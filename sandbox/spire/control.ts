import { createServer } from 'node:http'
import { z } from 'zod'
import { controlled, own } from '../controlling.ts'
import { type Answer, deliver } from '../faults.ts'
import { type Incoming, receive, serveEach } from '../incoming.ts'
import { Listener } from '../listener.ts'
import { idText } from './ids.ts'
import type { Entry } from './shapes.ts'
import type { Spire } from './spire.ts'

export interface Control extends AsyncDisposable {
  readonly origin: string
}

const nothing = z.strictObject({})
const sentinel = { type: 'agentmesh', value: 'suspended' }
const isSentinel = ({ type, value }: { type: string; value: string }) =>
  type === sentinel.type && value === sentinel.value
const isHeld = ({ selectors }: Entry) => selectors.some(isSentinel)

const entriesOf = (spire: Spire, id: string): Entry[] => {
  const found = spire.entries.filter(({ spiffe_id }) => idText(spiffe_id) === id)
  if (found.length === 0) throw new Error(`there is no entry of ${id}`)
  return found
}

function rows(spire: Spire) {
  const ids = [...new Set(spire.entries.map(({ spiffe_id }) => idText(spiffe_id)))]
  return ids.map((id) => {
    const entries = entriesOf(spire, id)
    const held = entries.filter(isHeld).length
    const status = `${entries.length} ${entries.length === 1 ? 'entry' : 'entries'}, ${held} suspended`
    return { id, enabled: held < entries.length, label: '', status }
  })
}

const changes: Readonly<Record<string, (spire: Spire, id: string) => void>> = {
  disable: (spire, id) => {
    for (const entry of entriesOf(spire, id).filter((each) => !isHeld(each)))
      spire.changeEntry(entry.id, { selectors: [...entry.selectors, sentinel] })
  },
  enable: (spire, id) => {
    for (const entry of entriesOf(spire, id).filter(isHeld))
      spire.changeEntry(entry.id, { selectors: entry.selectors.filter((each) => !isSentinel(each)) })
  },
  remove: (spire, id) => {
    for (const entry of entriesOf(spire, id)) spire.removeEntry(entry.id)
  },
}

/**
 * The control API of a local SPIRE, JSON on loopback, for `idp-bridge sandbox spire …`:
 *
 * - `GET /_sandbox/objects` · `objects/{SPIFFE ID}`, which are its entries
 * - `POST /_sandbox/objects/{SPIFFE ID}/disable` (`enable`, `remove`), as an administrator does it to every entry
 */
export async function startControl(spire: Spire, port: number): Promise<Control> {
  const server = createServer()
  serveEach(server, async (request, response) => {
    const incoming = await receive(request)
    const answer = incoming === undefined ? { status: 413, headers: { Connection: 'close' } } : serve(spire, incoming)
    await deliver(response, await answer, undefined)
  })
  const listener = new Listener(server, '127.0.0.1')
  await listener.open(port)
  return { origin: listener.origin, [Symbol.asyncDispose]: () => listener[Symbol.asyncDispose]() }
}

async function serve(spire: Spire, { method, path, text }: Incoming): Promise<Answer> {
  const [, , name, target, action, ...more] = path.split('/')
  const unknown = { status: 404, headers: {}, body: { error: `no ${method} ${path}` } }
  if (name !== 'objects' || more.length > 0) return unknown
  if (method === 'GET' && target === undefined) return controlled(text, () => rows(spire))
  const id = () => decodeURIComponent(target ?? '')
  if (method === 'GET' && action === undefined) return controlled(text, () => entriesOf(spire, id()))
  const change = method === 'POST' ? own(changes, action ?? '') : undefined
  if (change === undefined) return unknown
  return controlled(text, (body) => {
    nothing.parse(body)
    change(spire, id())
  })
}

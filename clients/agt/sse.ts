import { AgtClientError } from './errors.ts'

/** One event as the WHATWG HTML standard frames it (§9.2). */
export interface SseEvent {
  readonly id: string
  readonly event: string
  readonly data: string
}

/** A snapshot of a hundred thousand held agents fits; nothing that does is a signal. */
const maxEventCharacters = 64 * 1024 * 1024

/**
 * Cuts text into events, whatever the chunks are. Feed returns the events that became complete; comments are none.
 * @throws AgtClientError E_FRAME an event is larger than 64 Mi characters
 */
export const createSseReader = (): { feed(chunk: string): SseEvent[] } => {
  let pieces: string[] = []
  let fields = new Map<string, string>()
  /** Characters of the complete lines of the open event, and of its open line. */
  let size = 0
  let open = 0

  const line = (text: string, events: SseEvent[]) => {
    if (text === '') {
      const data = fields.get('data')
      if (data !== undefined) events.push({ id: fields.get('id') ?? '', event: fields.get('event') ?? 'message', data })
      fields = new Map()
      size = 0
      return
    }
    const colon = text.indexOf(':')
    if (colon === 0) return
    const name = colon < 0 ? text : text.slice(0, colon)
    const value = colon < 0 ? '' : text.slice(colon + 1).replace(/^ /, '')
    const before = name === 'data' ? fields.get('data') : undefined
    fields.set(name, before === undefined ? value : `${before}\n${value}`)
  }

  return {
    feed: (chunk) => {
      const events: SseEvent[] = []
      let from = 0
      // Only what is new is searched: a large event comes in thousands of chunks.
      for (let end = chunk.indexOf('\n'); end >= 0; end = chunk.indexOf('\n', from)) {
        const text = pieces.join('') + chunk.slice(from, end)
        pieces = []
        open = 0
        size += text.length
        from = end + 1
        line(text.endsWith('\r') ? text.slice(0, -1) : text, events)
      }
      if (from < chunk.length) {
        pieces.push(chunk.slice(from))
        open += chunk.length - from
      }
      if (size + open > maxEventCharacters) throw new AgtClientError('E_FRAME', 'An event of the stream is too large.')
      return events
    },
  }
}

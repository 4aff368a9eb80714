export interface Event {
  /** As last given, by this event or one before. */
  readonly id: string | undefined
  readonly event: string
  readonly data: string
}

/** Events of a stream as the WHATWG HTML standard frames them (§9.2.6). Comments and fields that nobody needs are skipped. */
export async function* eventsOf(body: AsyncIterable<Uint8Array>): AsyncGenerator<Event> {
  const decoder = new TextDecoder()
  let rest = ''
  let id: string | undefined
  let event = ''
  let data: string[] = []
  for await (const piece of body) {
    const lines = (rest + decoder.decode(piece, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    if (rest.length > mostCharacters) throw new RangeError('a line of the stream has no end')
    for (const line of lines.map((one) => one.replace(/\r$/, ''))) {
      if (line === '') {
        if (data.length > 0) yield { id, event: event === '' ? 'message' : event, data: data.join('\n') }
        event = ''
        data = []
        continue
      }
      const colon = line.indexOf(':')
      const field = colon < 0 ? line : line.slice(0, colon)
      const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '')
      if (field === 'id' && !value.includes('\0')) id = value
      else if (field === 'event') event = value
      else if (field === 'data') data.push(value)
    }
  }
}

/** All held DIDs stand in one line. */
const mostCharacters = 64 * 1024 * 1024

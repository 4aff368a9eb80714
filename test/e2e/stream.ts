import { request } from 'node:http'
import { parsed } from './json.ts'
import { until } from './until.ts'

export interface Frame {
  readonly id: string
  readonly event: string
  readonly data: unknown
  /** When it was read, on the monotonic clock. */
  readonly at: number
}

/** One open stream of signals. */
export interface Stream extends AsyncDisposable {
  readonly frames: readonly Frame[]
  readonly isOver: boolean
  /** The first frame, past or to come, that passes. */
  frame(what: string, passes: (frame: Frame) => boolean, timeoutMs?: number): Promise<Frame>
}

const frameOf = (block: string): Frame | undefined => {
  const members = new Map<string, string>()
  for (const line of block.split('\n')) {
    const colon = line.indexOf(':')
    if (colon > 0) members.set(line.slice(0, colon), line.slice(colon + 1).trimStart())
  }
  const data = members.get('data')
  if (data === undefined) return undefined
  return {
    id: members.get('id') ?? '',
    event: members.get('event') ?? '',
    data: parsed(data),
    at: performance.now(),
  }
}

/** Opens `GET /v1/signals`; resolves once the stream is open. */
export const openStream = (origin: string, token: string, lastEventId?: string): Promise<Stream> =>
  new Promise((resolve, reject) => {
    const frames: Frame[] = []
    let over = false
    const sent = request(new URL('/v1/signals', origin), {
      agent: false,
      headers: {
        authorization: `Bearer ${token}`,
        ...(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }),
      },
    })
    sent.on('error', (error) => {
      over = true
      reject(error)
    })
    sent.on('response', (response) => {
      if (response.statusCode !== 200) {
        response.resume()
        reject(new Error(`the stream answered ${response.statusCode}`))
        return
      }
      let rest = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        const blocks = (rest + chunk).split('\n\n')
        rest = blocks.pop() ?? ''
        frames.push(...blocks.map(frameOf).filter((frame) => frame !== undefined))
      })
      response.on('close', () => {
        over = true
      })
      response.on('error', () => {
        over = true
      })
      resolve({
        frames,
        get isOver() {
          return over
        },
        frame: (what, passes, timeoutMs) => until(`a frame: ${what}`, () => frames.find(passes), timeoutMs),
        [Symbol.asyncDispose]: async () => {
          sent.destroy()
          await until('the stream is over', () => over)
        },
      })
    })
    sent.end()
  })

import { connect, type Socket } from 'node:net'
import { type Spread, secondsOf, spreadOf } from './figures.ts'

export interface Load {
  readonly perSecond: number
  readonly latency: Spread
}

/**
 * Requests over connections that are kept, one at a time on each: what a client of Node's own spends on a request would
 * hide what the server spends. Every answer must be a 200 with its length given, that passes.
 */
export const openLoad = async (origin: string, lanes: number, passes: (answer: string) => boolean) => {
  const { hostname, port } = new URL(origin)
  const sockets = await Promise.all(Array.from({ length: lanes }, () => opened(hostname, Number(port))))
  return {
    /** So often in all, spread over the connections as they come free. */
    run: async (request: (n: number) => Buffer, count: number): Promise<Load> => {
      const times: number[] = []
      let next = 0
      const lane = async (socket: Socket) => {
        for (let n = next++; n < count; n = next++) {
          const started = performance.now()
          const answer = await asked(socket, request(n))
          times.push(performance.now() - started)
          if (!answer.startsWith('HTTP/1.1 200') || !passes(answer)) throw new Error(`refused: ${answer}`)
        }
      }
      const took = await secondsOf(() => Promise.all(sockets.map(lane)))
      return { perSecond: count / took, latency: spreadOf(times) }
    },
    [Symbol.dispose]: () => {
      for (const socket of sockets) socket.destroy()
    },
  }
}

/** One request with its body, ready to be sent. */
export const postOf = (path: string, headers: Readonly<Record<string, string>>, body: string): Buffer => {
  const lines = Object.entries({ host: 'localhost', ...headers, 'content-length': `${Buffer.byteLength(body)}` })
  return Buffer.from(`POST ${path} HTTP/1.1\r\n${lines.map((one) => `${one.join(': ')}\r\n`).join('')}\r\n${body}`)
}

const opened = (host: string, port: number): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const socket = connect({ host, port, noDelay: true }, () => resolve(socket))
    socket.setEncoding('latin1').once('error', reject)
  })

const asked = (socket: Socket, request: Buffer): Promise<string> =>
  new Promise((resolve, reject) => {
    let text = ''
    const end = (done: () => void) => {
      socket.off('data', take).off('close', gone)
      done()
    }
    const gone = () => end(() => reject(new Error('the connection was closed')))
    const take = (chunk: string) => {
      text += chunk
      const body = text.indexOf('\r\n\r\n') + 4
      if (body < 4) return
      const length = Number(/\r\ncontent-length: (\d+)/i.exec(text)?.[1] ?? Number.NaN)
      if (Number.isNaN(length)) end(() => reject(new Error(`an answer of unknown length: ${text}`)))
      else if (text.length >= body + length) end(() => resolve(text))
    }
    socket.on('data', take).once('close', gone)
    socket.write(request)
  })

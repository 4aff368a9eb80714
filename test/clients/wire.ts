import { connect, createServer, type Socket } from 'node:net'

/** A stretch of network between a client and a bridge, with the faults networks have. */
export interface Wire extends AsyncDisposable {
  readonly origin: string
  /** Where connections go from now on: a bridge that was started again listens elsewhere. */
  lead(origin: string): void
  /** Ends every connection; new ones are made at once. */
  cut(): void
  /** Ends every connection, and every new one as soon as it is made. */
  down(): void
  /** Requests arrive, answers do not. */
  mute(): void
  up(): void
  /** Connections made so far. */
  readonly connections: number
}

export const startWire = async (target: string): Promise<Wire> => {
  const sockets = new Set<Socket>()
  let { port } = new URL(target)
  let state: 'up' | 'down' | 'mute' = 'up'
  let connections = 0
  const keep = (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => undefined)
  }
  const cut = () => {
    for (const socket of sockets) socket.destroy()
  }
  const server = createServer((near) => {
    keep(near)
    connections += 1
    if (state === 'down') {
      near.destroy()
      return
    }
    const far = connect({ host: '127.0.0.1', port: Number(port) })
    keep(far)
    near.pipe(far)
    far.on('data', (chunk) => {
      if (state !== 'mute') near.write(chunk)
    })
    near.on('close', () => far.destroy())
    far.on('close', () => near.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the wire does not listen')
  return {
    origin: `http://127.0.0.1:${address.port}`,
    lead: (origin) => {
      port = new URL(origin).port
    },
    cut,
    down: () => {
      state = 'down'
      cut()
    },
    mute: () => {
      state = 'mute'
    },
    up: () => {
      state = 'up'
    },
    get connections() {
      return connections
    },
    [Symbol.asyncDispose]: async () => {
      cut()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

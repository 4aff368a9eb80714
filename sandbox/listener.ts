import type { Server } from 'node:http'

/** The socket of a local tenant, which can go away and come back: meanwhile connections are refused. */
export class Listener implements AsyncDisposable {
  readonly #server: Server
  readonly #host: string
  #port = 0
  /** Going down and coming back are done one after another. */
  #turn: Promise<void> = Promise.resolve()

  constructor(server: Server, host: string) {
    this.#server = server
    this.#host = host
  }

  get origin(): string {
    return `http://${this.#host}:${this.#port}`
  }

  async open(port: number): Promise<void> {
    await this.#listen(port)
    const address = this.#server.address()
    if (address === null || typeof address === 'string') throw new Error('the tenant has no port')
    this.#port = address.port
  }

  down(): Promise<void> {
    return this.#next(() => this.#close())
  }

  /** On the same port as before. */
  up(): Promise<void> {
    return this.#next(async () => {
      if (!this.#server.listening) await this.#listen(this.#port)
    })
  }

  #next(work: () => Promise<void>): Promise<void> {
    const done = this.#turn.then(work)
    this.#turn = done.catch(() => undefined)
    return done
  }

  #listen(port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(port, this.#host, () => {
        this.#server.off('error', reject)
        resolve()
      })
    })
  }

  #close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve())
      this.#server.closeAllConnections()
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.down()
  }
}

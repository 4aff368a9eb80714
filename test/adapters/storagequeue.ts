import { createHmac, randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import { Faults } from '../../sandbox/faults.ts'
import { type Incoming, receive, serveEach } from '../../sandbox/incoming.ts'
import { Listener } from '../../sandbox/listener.ts'

export const account = 'contosobells'
export const accountKey = Buffer.from('the-key-of-the-storage-account-!').toString('base64')

interface Message {
  readonly id: string
  readonly text: string
  receipt: string
  visibleAt: number
  times: number
}

export interface StorageQueueOptions {
  /** Whether a bearer token is one of an identity with the role. */
  readonly mayProcess?: (token: string) => boolean
  /** The signature that is accepted, and what it permits. */
  readonly sas?: { readonly sig: string; readonly sp: string }
  readonly refusesKeys?: boolean
}

interface Refusal {
  readonly status: number
  readonly code: string
}

const escapes: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
}
const escaped = (text: string) => text.replace(/[&<>"']/g, (each) => escapes[each] ?? each)
const refusal = (status: number, code: string): Refusal => ({ status, code })

/**
 * A local stand-in of one storage queue, as strict as the service is documented to be (queue service REST API and "Authorize
 * with Shared Key", read 2026-11). Its time stands still unless it is moved.
 */
export class StorageQueue implements AsyncDisposable {
  readonly requests: { readonly method: string; readonly path: string; readonly header: Incoming['header'] }[] = []
  readonly faults = new Faults()
  readonly messages: Message[] = []
  name = 'bells'
  nowMs = Date.now()
  readonly #options: StorageQueueOptions
  readonly #listener: Listener

  private constructor(options: StorageQueueOptions) {
    this.#options = options
    const server = createServer()
    this.#listener = new Listener(server, '127.0.0.1')
    serveEach(server, async (request, response) => {
      const incoming = await receive(request)
      if (incoming === undefined) return void response.writeHead(413).end()
      const { method, path, header } = incoming
      this.requests.push({ method, path, header })
      const fault = this.faults.take({ method, path, header })
      if (fault && 'mode' in fault) {
        if (fault.mode === 'reset') response.destroy()
        return
      }
      if (fault && 'status' in fault) {
        const word = fault.code === undefined ? {} : { 'x-ms-error-code': fault.code }
        const text = typeof fault.body === 'string' ? fault.body : this.#errorText(fault.code ?? 'InternalError')
        response.writeHead(fault.status, { 'content-type': 'application/xml', ...word, ...fault.headers }).end(text)
        return
      }
      const answer = this.#answer(incoming)
      if (typeof answer === 'string') {
        const status = method === 'DELETE' ? 204 : 200
        response.writeHead(status, { 'content-type': 'application/xml', 'x-ms-version': '2026-04-06' })
        response.end(status === 204 ? undefined : answer)
        return
      }
      response.writeHead(answer.status, { 'content-type': 'application/xml', 'x-ms-error-code': answer.code })
      response.end(this.#errorText(answer.code))
    })
  }

  static async open(options: StorageQueueOptions = {}): Promise<StorageQueue> {
    const queue = new StorageQueue(options)
    await queue.#listener.open(0)
    return queue
  }

  get url(): string {
    return `${this.#listener.origin}/${account}/bells`
  }

  /** Of the account, as its page in the portal has it. */
  get connectionString(): string {
    const endpoint = `${this.#listener.origin}/${account}`
    return `DefaultEndpointsProtocol=http;AccountName=${account};AccountKey=${accountKey};QueueEndpoint=${endpoint};`
  }

  put(text: string, times = 0): string {
    const id = randomUUID()
    this.messages.push({ id, text, receipt: '', visibleAt: 0, times })
    return id
  }

  /** As Event Grid does. */
  send(event: unknown): string {
    return this.put(Buffer.from(JSON.stringify(event)).toString('base64'))
  }

  down(): Promise<void> {
    return this.#listener.down()
  }

  up(): Promise<void> {
    return this.#listener.up()
  }

  #errorText(code: string): string {
    return `<?xml version="1.0" encoding="utf-8"?><Error><Code>${code}</Code><Message>Of ${code}.</Message></Error>`
  }

  #answer({ method, path, header }: Incoming): string | Refusal {
    const url = new URL(path, 'http://queue')
    const denied = this.#denied(method, url, header)
    if (denied) return denied
    const [, ofAccount, name, messages, id] = url.pathname.split('/')
    if (ofAccount !== account || messages !== 'messages') return refusal(400, 'InvalidUri')
    if (name !== this.name) return refusal(404, 'QueueNotFound')
    if (method === 'DELETE' && id) return this.#remove(decodeURIComponent(id), url.searchParams.get('popreceipt'))
    if (method !== 'GET' || id !== undefined) return refusal(405, 'UnsupportedHttpVerb')
    return this.#take(url.searchParams)
  }

  #take(query: URLSearchParams): string | Refusal {
    const most = Number(query.get('numofmessages') ?? 1)
    const hiddenS = Number(query.get('visibilitytimeout') ?? 30)
    if (!(most >= 1 && most <= 32) || !(hiddenS >= 1 && hiddenS <= 604_800))
      return refusal(400, 'OutOfRangeQueryParameterValue')
    const isPeek = query.get('peekonly') === 'true'
    const found = this.messages.filter(({ visibleAt }) => visibleAt <= this.nowMs).slice(0, most)
    for (const message of isPeek ? [] : found) {
      message.times += 1
      message.receipt = `${randomUUID()}+/=`
      message.visibleAt = this.nowMs + hiddenS * 1000
    }
    const at = (ms: number) => new Date(ms).toUTCString()
    const rows = found.map(({ id, receipt, text, times, visibleAt }) =>
      [
        `<QueueMessage><MessageId>${id}</MessageId><InsertionTime>${at(this.nowMs)}</InsertionTime>`,
        `<ExpirationTime>${at(this.nowMs + 604_800_000)}</ExpirationTime>`,
        isPeek ? '' : `<PopReceipt>${escaped(receipt)}</PopReceipt><TimeNextVisible>${at(visibleAt)}</TimeNextVisible>`,
        `<DequeueCount>${times}</DequeueCount><MessageText>${escaped(text)}</MessageText></QueueMessage>`,
      ].join(''),
    )
    return `<?xml version="1.0" encoding="utf-8"?><QueueMessagesList>${rows.join('')}</QueueMessagesList>`
  }

  #remove(id: string, receipt: string | null): string | Refusal {
    const at = this.messages.findIndex((each) => each.id === id)
    if (at < 0) return refusal(404, 'MessageNotFound')
    if (this.messages[at]?.receipt !== receipt) return refusal(400, 'PopReceiptMismatch')
    this.messages.splice(at, 1)
    return ''
  }

  #denied(method: string, url: URL, header: Incoming['header']): Refusal | undefined {
    const authorization = header('authorization')
    const sig = url.searchParams.get('sig')
    if (sig !== null) {
      const { sas } = this.#options
      if (sas === undefined || sig !== sas.sig || url.searchParams.get('sp') !== sas.sp || authorization !== undefined)
        return refusal(403, 'AuthenticationFailed')
      const needed = url.searchParams.get('peekonly') === 'true' ? 'r' : 'p'
      return sas.sp.includes(needed) ? undefined : refusal(403, 'AuthorizationPermissionMismatch')
    }
    if (authorization === undefined) return refusal(401, 'NoAuthenticationInformation')
    if (!/^20\d\d-\d\d-\d\d$/.test(header('x-ms-version') ?? '')) return refusal(400, 'MissingRequiredHeader')
    const bearer = /^Bearer (.+)$/.exec(authorization)?.[1]
    if (bearer !== undefined) {
      const { mayProcess } = this.#options
      if (mayProcess === undefined) return refusal(401, 'InvalidAuthenticationInfo')
      return mayProcess(bearer) ? undefined : refusal(403, 'AuthorizationPermissionMismatch')
    }
    if (this.#options.refusesKeys) return refusal(403, 'KeyBasedAuthenticationNotPermitted')
    const isSigned = authorization === `SharedKey ${account}:${signatureOf(method, url, header)}`
    return isSigned ? undefined : refusal(403, 'AuthenticationFailed')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#listener[Symbol.asyncDispose]()
  }
}

/** "Authorize with Shared Key", version 2015-02-21 and later. */
function signatureOf(method: string, url: URL, header: Incoming['header']): string {
  const plain = ['content-encoding', 'content-language', 'content-length', 'content-md5', 'content-type', 'date']
  const conditions = ['if-modified-since', 'if-match', 'if-none-match', 'if-unmodified-since', 'range']
  const own = ['x-ms-client-request-id', 'x-ms-date', 'x-ms-version']
  const lines = [
    method,
    ...[...plain, ...conditions].map((name) => {
      const value = header(name) ?? ''
      return name === 'content-length' && value === '0' ? '' : value
    }),
    ...own.flatMap((name) => (header(name) === undefined ? [] : [`${name}:${header(name)}`])),
    `/${account}${url.pathname}`,
    ...[...url.searchParams].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, value]) => `${name}:${value}`),
  ]
  return createHmac('sha256', Buffer.from(accountKey, 'base64')).update(lines.join('\n'), 'utf8').digest('base64')
}

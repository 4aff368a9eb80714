import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'

export interface ReceiverOptions {
  readonly secrets: readonly string[]
  stop(did: string): void | Promise<void>
  resume(did: string): void | Promise<void>
}

interface Module {
  createReceiver(options: ReceiverOptions): {
    verified(id: string, timestamp: string, signatures: string, body: string): boolean
    take(id: string, signal: object): Promise<void>
  }
}

/** The receiver that docs/webhooks.md shows, as it stands there. */
export const docsReceiver = async (): Promise<Module> => {
  const page = readFileSync(resolve(import.meta.dirname, '../../docs/webhooks.md'), 'utf8')
  const code = /^```js\n([\s\S]*?)^```$/m.exec(page)?.[1]
  if (code === undefined) throw new Error('docs/webhooks.md shows no receiver')
  const loaded: Module = await import(`data:text/javascript,${encodeURIComponent(code)}`)
  return loaded
}

/** What it does with a push whose signature was checked. */
export const receiverOfDocs = async (options: ReceiverOptions) => {
  const { createReceiver } = await docsReceiver()
  return createReceiver(options).take
}

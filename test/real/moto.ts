import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, request } from 'node:http'
import { createInterface } from 'node:readline'
import type { TestContext } from 'node:test'
import { leash } from '../e2e/leash.ts'
import { type Python, pythonWith } from './virtualenv.ts'

/** Its services that the bridge uses need no more than these. */
const packages = ['moto==5.2.5', 'flask==3.1.3', 'flask-cors==6.0.5']

export interface Moto extends AsyncDisposable {
  readonly origin: string
  /** Where it knows by the address alone that SNS is meant: it goes by the scope of a signature, and certificates are fetched without. */
  readonly sns: string
}

/** Hands requests on as if they were signed for SNS. */
const namedSns = async (origin: string) => {
  const server = createServer((incoming, outgoing) => {
    const headers = { authorization: 'AWS4-HMAC-SHA256 Credential=any/20260101/us-east-1/sns/aws4_request, ' }
    const onward = request(`${origin}${incoming.url}`, { method: incoming.method, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(outgoing)
    })
    onward.on('error', () => outgoing.destroy())
    incoming.pipe(onward)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  return { origin: `http://127.0.0.1:${address.port}`, close: () => server.close() }
}

/** Undefined when it cannot be had and the test was skipped for that. */
export const installMoto = (t: TestContext): Promise<Python | undefined> => pythonWith(t, ...packages)

/**
 * Moto's server on a port of its own.
 * @param openCalls after so many calls it checks signatures and permissions; never when absent
 */
export const startMoto = async (python: Python, openCalls?: number): Promise<Moto> => {
  const count = openCalls === undefined ? {} : { INITIAL_NO_AUTH_ACTION_COUNT: String(openCalls) }
  const env = { ...process.env, ...count, PYTHONDONTWRITEBYTECODE: '1', PYTHONUNBUFFERED: '1' }
  const child = spawn(python.path, ['-m', 'moto.server', '-H', '127.0.0.1', '-p', '0'], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  leash(child)
  const said: string[] = []
  const { promise, reject, resolve } = Promise.withResolvers<string>()
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      said.push(line)
      if (said.length > 50) said.shift()
      const [, origin] = /Running on (http:\/\/127\.0\.0\.1:\d+)/.exec(line) ?? []
      if (origin !== undefined) resolve(origin)
    })
  }
  const ended = once(child, 'exit')
  ended.then(() => reject(new Error(`moto ended: ${said.join('\n')}`)), reject)
  const origin = await promise
  const sns = await namedSns(origin)
  return {
    origin,
    sns: sns.origin,
    [Symbol.asyncDispose]: async () => {
      sns.close()
      child.kill('SIGKILL')
      await ended
    },
  }
}

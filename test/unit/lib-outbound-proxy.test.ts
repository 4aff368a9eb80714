import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { type AddressInfo, connect, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it, type TestContext } from 'node:test'
import { systemClock } from '../../src/lib/clock.ts'
import { bypassesProxy, createOutbound, type OutboundOptions } from '../../src/lib/outbound.ts'
import { selfSigned } from './lib-certificate.ts'

const limits = { timeoutMs: 5000, maxBytes: 1000 }
const signal = new AbortController().signal
/** Resolves nowhere: only a proxy can reach it. */
const HOST = 'directory.test'

async function listening(t: TestContext, server: Server): Promise<number> {
  const sockets = new Set<{ destroy(): void }>()
  server.on('connection', (socket) => sockets.add(socket))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  const address: AddressInfo | string | null = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  return address.port
}

describe('outbound through a proxy and with a private authority', () => {
  const { cert, key } = selfSigned(HOST)
  const directory = mkdtempSync(join(tmpdir(), 'bridge-ca-'))
  const caFile = join(directory, 'ca.pem')
  before(() => writeFileSync(caFile, cert))
  after(() => rmSync(directory, { recursive: true }))

  /** A TLS directory named HOST, and a CONNECT proxy that knows where it is. */
  async function network(t: TestContext) {
    const port = await listening(
      t,
      createHttpsServer({ cert, key }, (request, response) => response.end(`saw ${request.headers.host}`)),
    )
    const connects: { target: string | undefined; authorization: string | undefined }[] = []
    const proxy = createHttpServer((_, response) => response.writeHead(500).end())
    proxy.on('connect', (request, client) => {
      connects.push({ target: request.url, authorization: request.headers['proxy-authorization'] })
      const upstream = connect(port, '127.0.0.1', () => {
        client.write('HTTP/1.1 200 Connection Established\r\n\r\n')
        upstream.pipe(client).pipe(upstream)
      })
      upstream.on('error', () => client.destroy())
      client.on('error', () => upstream.destroy())
    })
    const proxyPort = await listening(t, proxy)
    return { origin: `https://${HOST}:${port}`, proxy: `http://user:hush@127.0.0.1:${proxyPort}`, connects, port }
  }

  function open(t: TestContext, options: Partial<OutboundOptions>) {
    const outbound = createOutbound({ userAgent: 'bridge-test', clock: systemClock, ...options })
    t.after(() => outbound.close())
    return outbound
  }

  it('tunnels, signs in to the proxy and checks the certificate of the far end', async (t) => {
    const { origin, proxy, connects, port } = await network(t)
    const answer = await open(t, { proxy, caFile }).origin([origin], limits)(`${origin}/x`, { signal })
    assert.equal(await answer.text(), `saw ${HOST}:${port}`)
    const authorization = `Basic ${Buffer.from('user:hush').toString('base64')}`
    assert.deepEqual(connects, [{ target: `${HOST}:${port}`, authorization }])
  })

  it('trusts no private authority that was not configured', async (t) => {
    const { origin, proxy } = await network(t)
    const call = open(t, { proxy }).origin([origin], limits)
    await assert.rejects(call(origin, { signal }), { code: 'E_OUTBOUND_NETWORK' })
  })

  it('does not take a certificate of another name', async (t) => {
    const { proxy, port } = await network(t)
    const call = open(t, { proxy, caFile }).origin([`https://other.test:${port}`], limits)
    await assert.rejects(call(`https://other.test:${port}`, { signal }), /ERR_TLS_CERT_ALTNAME_INVALID/)
  })

  it('goes around the proxy for noProxy and for loopback', async (t) => {
    const { origin, proxy, connects, port } = await network(t)
    const near = await listening(
      t,
      createHttpServer((_, response) => response.end('near')),
    )
    const outbound = open(t, { proxy, caFile, noProxy: ['.test'] })
    await assert.rejects(outbound.origin([origin], limits)(origin, { signal }), { code: 'E_OUTBOUND_NETWORK' })
    const loopback = `http://127.0.0.1:${near}`
    const answer = await outbound.origin([loopback], limits)(loopback, { signal })
    assert.equal(await answer.text(), 'near')
    // Direct TLS with the private authority: the name does not fit the address, and that is what fails.
    const direct = `https://127.0.0.1:${port}`
    await assert.rejects(outbound.origin([direct], limits)(direct, { signal }), /ERR_TLS_CERT_ALTNAME_INVALID/)
    assert.deepEqual(connects, [])
  })

  it('refuses a certificate file that is not there, or is none', () => {
    const other = join(directory, 'other')
    writeFileSync(other, 'x')
    for (const caFile of [other, join(directory, 'nope')]) {
      const options = { userAgent: 'x', clock: systemClock, caFile }
      assert.throws(() => createOutbound(options), { code: 'E_CONFIG' })
    }
  })

  it('knows the forms of noProxy', () => {
    const rows: [string, string[], boolean][] = [
      ['https://a.example', [], false],
      ['https://a.example', ['a.example'], true],
      ['https://b.a.example', ['a.example'], false],
      ['https://b.a.example', ['.a.example'], true],
      ['https://a.example', ['.a.example'], true],
      ['https://nota.example', ['.a.example'], false],
      ['https://a.example', ['A.Example '], true],
      ['https://a.example', ['a.example:443'], true],
      ['https://a.example:8443', ['a.example:443'], false],
      ['https://a.example', ['*'], true],
      ['http://localhost:1', [], true],
      ['http://169.254.169.254', [], true],
    ]
    for (const [url, noProxy, expected] of rows) {
      assert.equal(bypassesProxy(new URL(url), noProxy), expected, `${url} ${noProxy}`)
    }
  })
})

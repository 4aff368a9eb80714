import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { createServer } from 'node:https'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { publicJwk } from '../../src/lib/jws.ts'
import { textAt } from '../e2e/json.ts'
import { until } from '../e2e/until.ts'
import { audience, clientEntry, type Daemon, isMessage, startWorld, tokenOf } from '../e2e/world.ts'
import { signingKey } from '../engine/published.ts'
import { selfSigned } from '../unit/lib-certificate.ts'

/**
 * A local tenant and the real daemon for tests in another language: prints one line of JSON, then takes `kill` (SIGKILL
 * to the daemon), `start` and `revoke` (its signing key, by a reload) on standard input, each answered by a line; ends with
 * its standard input.
 */

const clients = {
  alice: ['operator'],
  bob: ['operator'],
  carol: ['operator'],
  runtime: ['runtime'],
  'other-runtime': ['runtime'],
  registry: ['registrar', 'responder', 'gateway'],
  'registry-operator': ['operator', 'gateway'],
}
/** Tokens are for the agents of the tests, or for an application as its client id. */
const applicationId = 'cccccccc-0000-4000-8000-000000000099'

const say = (value: object): void => console.log(JSON.stringify(value))

let daemon: Daemon | undefined
/** In front of the daemon, for readers that take nothing but https. */
const certificate = selfSigned('localhost')
const front = createServer(certificate, (incoming, answer) => {
  const { headers, method, url = '/' } = incoming
  if (daemon === undefined) return answer.writeHead(502).end()
  const passed = request(new URL(url, daemon.origin), { method, headers, agent: false }, (got) => {
    answer.writeHead(got.statusCode ?? 502, got.headers)
    got.pipe(answer)
  })
  passed.on('error', () => answer.writeHead(502).end())
  incoming.pipe(passed)
})
front.listen(0, '127.0.0.1')
await once(front, 'listening')
const address = front.address()
const publicUrl = `https://localhost:${typeof address === 'object' ? address?.port : ''}`

await using world = await startWorld({
  server: { policySocket: '127.0.0.1:0', publicUrl },
  auth: { clients: Object.entries(clients).map(([name, role]) => clientEntry(name, role)) },
  policy: { resume: 'automatic', trust: { suspendBelow: 300, liftAbove: 500 } },
  adapters: { contoso: { tokens: { audiences: [audience, applicationId] } } },
})
daemon = await world.daemon()
const listening = 'listening for policy engines, which are asked for no token'
/** Where this daemon is reached, by those with a token and by those without. */
const places = async ({ origin, process, log }: Daemon) => {
  await process.line('the policy listener', isMessage(listening))
  return { origin, policy: textAt(log(listening)[0], 'at') }
}
const { contoso, folder, keyFile, tenant } = world
// The sponsor of the agents: validation asks the directory for people too.
tenant.addUser({ displayName: 'Alice', userPrincipalName: 'alice@contoso.com' })
const authority = join(folder, 'authority.pem')
writeFileSync(authority, certificate.cert)
const second = join(folder, 'second.pem')
say({
  ...(await places(daemon)),
  tenant: { id: tenant.tenantId, origin: tenant.origin },
  applicationId,
  tokens: Object.fromEntries(Object.keys(clients).map((name) => [name, tokenOf(name)])),
  group: contoso.groups.customerData,
  publicUrl,
  authority,
  keyFile,
})
for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'kill') {
    await daemon?.[Symbol.asyncDispose]()
    daemon = undefined
    say({ killed: true })
  } else if (line === 'start') {
    daemon = await world.daemon()
    say(await places(daemon))
  } else if (line === 'revoke') {
    writeFileSync(second, signingKey().pem)
    const { kid } = await publicJwk(readFileSync(keyFile, 'utf8'))
    world.configure({ signing: { keys: [{ file: keyFile }, { file: second }], revoked: [kid] } })
    const before = daemon?.log('configuration reloaded').length ?? 0
    daemon?.process.signal('SIGHUP')
    await until('the reload', async () => (daemon?.log('configuration reloaded').length ?? 0) > before)
    say({ revoked: kid })
  } else throw new Error(`unknown command ${line}`)
}
front.close()
front.closeAllConnections()

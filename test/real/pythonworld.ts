import { createInterface } from 'node:readline'
import { audience, clientEntry, type Daemon, startWorld, tokenOf } from '../e2e/world.ts'

/**
 * A local tenant and the real daemon for tests in another language: prints one line of JSON, then takes `kill` (SIGKILL
 * to the daemon) and `start` on standard input, each answered by a line; ends with its standard input.
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

await using world = await startWorld({
  auth: { clients: Object.entries(clients).map(([name, role]) => clientEntry(name, role)) },
  policy: { resume: 'automatic', trust: { suspendBelow: 300, liftAbove: 500 } },
  adapters: { contoso: { tokens: { audiences: [audience, applicationId] } } },
})
let daemon: Daemon | undefined = await world.daemon()
const { contoso, tenant } = world
say({
  origin: daemon.origin,
  tenant: { id: tenant.tenantId, origin: tenant.origin },
  applicationId,
  tokens: Object.fromEntries(Object.keys(clients).map((name) => [name, tokenOf(name)])),
  group: contoso.groups.customerData,
})
for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'kill') {
    await daemon?.[Symbol.asyncDispose]()
    daemon = undefined
    say({ killed: true })
  } else if (line === 'start') {
    daemon = await world.daemon()
    say({ origin: daemon.origin })
  } else throw new Error(`unknown command ${line}`)
}

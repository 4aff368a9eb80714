import { createInterface } from 'node:readline'
import { textAt } from '../e2e/json.ts'
import { audience, clientEntry, type Daemon, isMessage, startWorld, tokenOf } from '../e2e/world.ts'

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
  server: { policySocket: '127.0.0.1:0' },
  auth: { clients: Object.entries(clients).map(([name, role]) => clientEntry(name, role)) },
  policy: { resume: 'automatic', trust: { suspendBelow: 300, liftAbove: 500 } },
  adapters: { contoso: { tokens: { audiences: [audience, applicationId] } } },
})
let daemon: Daemon | undefined = await world.daemon()
const listening = 'listening for policy engines, which are asked for no token'
/** Where this daemon is reached, by those with a token and by those without. */
const places = async ({ origin, process, log }: Daemon) => {
  await process.line('the policy listener', isMessage(listening))
  return { origin, policy: textAt(log(listening)[0], 'at') }
}
const { contoso, tenant } = world
say({
  ...(await places(daemon)),
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
    say(await places(daemon))
  } else throw new Error(`unknown command ${line}`)
}

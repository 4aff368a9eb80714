import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { secretOf } from '../engine/receiver.ts'
import { HASH, OTHER, parse, refuses, soc, withClients } from './config-fixture.ts'

const runtime = `{ name: agt-1, role: [runtime], tokenSha256: ${OTHER} }`
const signals = (list: string) => `${withClients(soc, runtime)}signals: { ${list} }\n`
const secret = secretOf('one')
const webhook = (over: Readonly<Record<string, string>> = {}) => {
  const base = { name: 'payments', url: 'https://a.contoso.com/hooks', secret, client: 'agt-1', ...over }
  const members = Object.entries(base).map(([key, value]) => `${key}: "${value}"`)
  return `{ ${members.join(', ')} }`
}
const webhooks = (...list: string[]) => signals(`webhooks: [${list.join(', ')}]`)
const topic = (access: string, endpoint = 'https://t.westeurope-1.eventgrid.azure.net/api/events') =>
  signals(`eventGrid: [{ name: siem, endpoint: "${endpoint}", access: ${access} }]`)

test('outlets have defaults, and their secrets do not print', () => {
  const { signals: read } = parse(webhooks(webhook(), webhook({ name: 'audit' })))
  const [first] = read['webhooks'] ?? []
  assert.deepEqual(first?.types, ['suspended', 'resumed', 'capabilities'])
  assert.equal(first?.giveUpAfter, 3 * 86_400_000)
  assert.ok(!JSON.stringify(read).includes(secret.slice(6)))
  assert.equal(read['eventGrid']?.length, 0)
})

describe('a faulty outlet is refused', () => {
  const path = 'signals.webhooks.0'
  refuses([
    ['plain http', webhooks(webhook({ url: 'http://a.contoso.com/' })), `${path}.url bad_value`, /loopback/],
    ['a secret of another form', webhooks(webhook({ secret: HASH })), `${path}.secret bad_value`, /whsec_/],
    ['a short secret', webhooks(webhook({ secret: 'whsec_YWJjZA==' })), `${path}.secret bad_value`, /24 to 64/],
    ['no such client', webhooks(webhook({ client: 'agt-2' })), `${path}.client bad_value`, /did you mean agt-1/],
    ['a client of another role', webhooks(webhook({ client: 'soc' })), `${path}.client bad_value`, /role runtime/],
    [
      'a name twice, over both lists',
      signals(
        `webhooks: [${webhook()}], eventGrid: [{ name: payments, endpoint: "https://t.contoso.com/api/events", access: { auth: key, key: "0123456789abcdef" } }]`,
      ),
      'signals.eventGrid.0.name conflict',
      /unique/,
    ],
    ['an unknown kind', signals('queues: []'), 'signals.queues unknown_key', /webhooks/],
    ['a topic without a proof', topic('{ auth: none }'), 'signals.eventGrid.0.access.auth bad_value', /key, entra/],
    [
      'a topic by plain http',
      topic('{ auth: key, key: "0123456789abcdef" }', 'http://t.contoso.com/api/events'),
      'signals.eventGrid.0.endpoint bad_value',
      /loopback/,
    ],
  ])
})

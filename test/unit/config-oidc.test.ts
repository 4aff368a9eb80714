import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { callerKinds } from '../../adapters/index.ts'
import { ConfigError, parseConfig } from '../../src/config.ts'
import { adapterKinds, files, HASH, outletKinds, soc, TENANT } from './config-fixture.ts'

const account = 'AAAAAAAA-BBBB-CCCC-DDDD-EEEEEEEEEEEE'
const contoso = `contoso: { kind: entra, tenantId: ${TENANT}, credential: { type: workloadIdentity },
    tokens: { audiences: ["api://agents"] },
    hooks: { eventGrid: { auth: entra, audience: "api://hooks", subscriptions: [] } } }`
const oidc = (more = '', audience = 'api://idp-bridge') =>
  `{ adapter: contoso, audience: "${audience}", roles: { operator: Bridge.Operator, reader: [Bridge.Reader, Audit] }${more} }`
const file = (entries: string, clients = soc, adapters = contoso) =>
  `version: 1\nauth: { clients: [${clients}], oidc: [${entries}] }\nadapters: { ${adapters} }\n`
const parse = (text: string) => parseConfig(text, { env: {}, adapterKinds, outletKinds, callerKinds, files })
const faults = (text: string): readonly string[] => {
  try {
    parse(text)
  } catch (error) {
    if (error instanceof ConfigError) return error.faults.map(({ path, code }) => `${path} ${code}`)
    throw error
  }
  return []
}

describe('auth.oidc', () => {
  it('lists who vouches for callers, in canonical letters', () => {
    const listed = `{ name: agt-2, role: runtime, principals: contoso/${account} }`
    const { auth } = parse(file(oidc(`, applications: [${account}]`), `${soc}, ${listed}`))
    assert.deepEqual(auth.oidc, [
      {
        adapter: 'contoso',
        audience: ['api://idp-bridge'],
        roles: { operator: ['Bridge.Operator'], reader: ['Bridge.Reader', 'Audit'] },
        applications: [account.toLowerCase()],
      },
    ])
    assert.deepEqual(auth.clients[1]?.principals, [`contoso/${account.toLowerCase()}`])
  })

  it('never stands alone: an operator with a token is needed, for directories fail', () => {
    const listed = `{ name: boss, role: operator, principals: contoso/${account} }`
    assert.deepEqual(faults(file(oidc(), listed)), ['auth.clients conflict'])
  })

  it('has no audience that tokens for something else have', () => {
    for (const audience of ['api://agents', 'api://hooks']) {
      assert.deepEqual(faults(file(oidc('', audience))), ['auth.oidc.0.audience conflict'], audience)
    }
    assert.deepEqual(faults(file(`${oidc()}, ${oidc()}`)), ['auth.oidc.1.audience conflict'])
    const other = `okta: { kind: okta, orgUrl: "https://x.okta.com", credential: { type: apiToken, token: hush-hush },
      tokens: [{ issuer: "https://x.okta.com/oauth2/default", audiences: ["api://idp-bridge"] }] }`
    const found = faults(file(oidc(), soc, `${contoso}, ${other}`))
    assert.ok(found.includes('auth.oidc.0.audience conflict'), found.join())
  })

  it('names directories of the file that can tell callers', () => {
    assert.deepEqual(faults(file(oidc().replace('contoso', 'contosso'))), ['auth.oidc.0.adapter bad_value'])
    const memory = 'contoso: { kind: memory }'
    assert.deepEqual(faults(file(oidc(), soc, memory)), ['auth.oidc.0.adapter bad_value'])
    const stranger = `{ name: agt-2, role: runtime, principals: fabrikam/${account} }`
    assert.deepEqual(faults(file(oidc(), `${soc}, ${stranger}`)), ['auth.clients.1.principals conflict'])
    assert.deepEqual(faults(file('', `${soc}, ${stranger}`)), ['auth.clients.1.principals conflict'])
  })

  it('takes roles that there are, and accounts of one client each', () => {
    assert.match(faults(file(oidc().replace('operator:', 'boss:'))).join(), /auth\.oidc\.0\.roles/)
    assert.match(
      faults(file(oidc().replace('Bridge.Operator', '"two words"'))).join(),
      /auth\.oidc\.0\.roles\.operator/,
    )
    const client = (name: string, id: string) => `{ name: ${name}, role: reader, principals: "contoso/${id}" }`
    const twice = faults(file(oidc(), `${soc}, ${client('a', account)}, ${client('b', account.toLowerCase())}`))
    assert.deepEqual(twice, ['auth.clients.2.principals conflict'])
    assert.deepEqual(faults(file(oidc(), `${soc}, ${client('a', 'a b')}`)), ['auth.clients.1.principals bad_value'])
    assert.deepEqual(faults(file(oidc(), `${soc}, { name: a, role: reader }`)), ['auth.clients.1 bad_value'])
    assert.equal(HASH.length, 64)
  })
})

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseConfig } from '../../src/config.ts'
import { authority, serverCertificate } from '../http/certificates.ts'
import { adapterKinds, HASH, OTHER, parse, refuses, soc, withClients } from './config-fixture.ts'

const root = authority()
const own = serverCertificate(root)
const quoted = (text: string) => JSON.stringify(text)
const tls = (cert: string, key: string, rest = '') =>
  `server: { tls: { cert: ${quoted(cert)}, key: ${quoted(key)}${rest} } }\n`
const pair = tls(own.pem, own.key)
const withCa = tls(own.pem, own.key, `, clientCa: ${quoted(root.pem)}`)
const svid = 'spiffe://example.org/gateway'
const second = (credential: string) => withClients(soc, `{ name: gateway, role: gateway, ${credential} }`)
const domains = ['spiffe://a.org', 'spiffe://b.org'].map((uri) => authority({ uris: [uri] }).pem).join('')

describe('TLS and certificates in the configuration', () => {
  it('takes a pair, authorities, and clients by certificate', () => {
    const fingerprint = (own.fingerprint.match(/../g) ?? []).join(':').toUpperCase()
    const { server, auth } = parse(
      `${second(`spiffeId: ${quoted(svid)}, certificateSha256: ${quoted(fingerprint)}`)}${withCa}`,
    )
    assert.equal(server.tls?.clientCa?.read(), root.pem)
    assert.deepEqual(auth.clients[1]?.spiffeId, [svid])
    assert.deepEqual(auth.clients[1]?.certificateSha256, [own.fingerprint])
    assert.deepEqual(auth.clients[1]?.tokenSha256, [])
  })

  it('reads the pair from files', () => {
    const disk: Record<string, string> = { '/crt': own.pem, '/key': own.key }
    const files = { read: (path: string) => disk[path] ?? '', stamp: (path: string) => disk[path] ?? '' }
    const text = `${withClients(soc)}server: { tls: { cert: { file: /crt }, key: { file: /key } } }\n`
    assert.equal(parseConfig(text, { env: {}, adapterKinds, files }).server.tls?.cert.path, '/crt')
  })

  refuses([
    [
      'a key of another certificate',
      withClients(soc) + tls(own.pem, root.key),
      'server.tls.key conflict',
      /not the key/,
    ],
    ['a certificate that is none', withClients(soc) + tls('none', own.key), 'server.tls.cert bad_value', /PEM/],
    ['a key that is none', withClients(soc) + tls(own.pem, 'none'), 'server.tls.key bad_value', /passphrase/],
    [
      'a file that is not there',
      `${withClients(soc)}server: { tls: { cert: { file: /none }, key: ${quoted(own.key)} } }\n`,
      'server.tls.cert unreadable',
      /none/,
    ],
    [
      'authorities of two trust domains',
      withClients(soc) + tls(own.pem, own.key, `, clientCa: ${quoted(domains)}`),
      'server.tls.clientCa bad_value',
      /several trust domains/,
    ],
    [
      'one port for two listeners',
      `${withClients(soc)}server: { port: 8480, hooksPort: 8481, managementPort: 8481 }\n`,
      'server.managementPort conflict',
      /hooksPort/,
    ],
    ['a client that proves itself by nothing', second(''), 'auth.clients.1 bad_value', /certificateSha256/],
    [
      'an SVID without authorities',
      second(`spiffeId: ${quoted(svid)}`) + pair,
      'auth.clients.1.spiffeId conflict',
      /clientCa/,
    ],
    [
      'a pinned certificate without TLS',
      second(`certificateSha256: ${HASH}`),
      'auth.clients.1.certificateSha256 conflict',
      /server\.tls/,
    ],
    [
      'a trust domain for a workload',
      second('spiffeId: "spiffe://a.org"') + withCa,
      'auth.clients.1.spiffeId bad_value',
      /path/,
    ],
    [
      'one SVID for two',
      withClients(
        soc,
        `{ name: a, role: reader, spiffeId: ${quoted(svid)} }`,
        `{ name: b, role: reader, spiffeId: ${quoted(svid)} }`,
      ) + withCa,
      'auth.clients.2.spiffeId conflict',
      /client a/,
    ],
    [
      'an operator by certificate only',
      withClients(`{ name: soc, role: operator, certificateSha256: ${OTHER} }`) + pair,
      'auth.clients conflict',
      /token/,
    ],
  ])

  it('never prints the key', () => {
    const config = parse(`${withClients(soc)}${pair}`)
    assert.doesNotMatch(JSON.stringify(config), /PRIVATE|MII|MIG/)
  })
})

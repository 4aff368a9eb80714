import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import { expecting } from '../../adapters/spiffe/svid.ts'
import { authority, certificate } from '../http/certificates.ts'

const domain = 'spiffe://example.org'
const id = `${domain}/spire/server`
const trust = authority({ uris: [domain] })

test('a peer is who it should be by a leaf certificate only', () => {
  const judge = (made: { readonly pem: string }) => expecting(id)('', { raw: new X509Certificate(made.pem).raw })
  assert.equal(judge(certificate({ uris: [id] }, trust)), undefined)
  const table = {
    'of another path': certificate({ uris: [`${domain}/spire/agent`] }, trust),
    'of the trust domain itself': certificate({ uris: [domain] }, trust),
    'with two URIs': certificate({ uris: [id, `${domain}/other`] }, trust),
    'an authority': certificate({ uris: [id], isAuthority: true }, trust),
    'an authority that does not say so by its key usage': certificate(
      { uris: [id], isAuthority: true, usage: 0x80 },
      trust,
    ),
    'that may sign certificates': certificate({ uris: [id], usage: 0x84 }, trust),
    'that does not say what its key is for': certificate({ uris: [id], usage: undefined }, trust),
  }
  for (const [why, made] of Object.entries(table)) assert.match(String(judge(made)), /another identity/, why)
})

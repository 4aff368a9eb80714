import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { it } from 'node:test'
import { tokenForm } from '../../src/http/basic.ts'
import { clientToken, clientTokens, isClientToken, sha256Of } from '../../src/lib/clienttoken.ts'
import { createLogger } from '../../src/lib/log.ts'

it('a token of a client has one form, whatever is random in it', () => {
  for (const random of [new Uint8Array(32), new Uint8Array(32).fill(255), randomBytes(32)]) {
    const token = clientToken(random)
    assert.match(token, /^idpb_[0-9A-Za-z]{49}$/)
    assert.match(token, new RegExp(`^${tokenForm}$`))
    assert.ok(isClientToken(token))
  }
  assert.equal(clientToken(new Uint8Array(32)).slice(0, 48), `idpb_${'0'.repeat(43)}`)
  // 2^256 - 1 in base 62.
  assert.equal(clientToken(new Uint8Array(32).fill(255)).slice(5, 48), 'yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp1')
})

it('its checksum tells it from what only looks like one', () => {
  const token = clientToken(randomBytes(32))
  for (const at of [5, 20, 47, 53]) {
    const other = token[at] === 'a' ? 'b' : 'a'
    assert.equal(isClientToken(token.slice(0, at) + other + token.slice(at + 1)), false)
  }
  assert.equal(isClientToken(`${token}a`), false)
  assert.equal(isClientToken(`x${token.slice(1)}`), false)
})

it('is found in text, and masked in the log wherever it stands', () => {
  const token = clientToken(randomBytes(32))
  assert.deepEqual(`curl -H ${token}, twice: ${token}`.match(clientTokens), [token, token])
  const lines: string[] = []
  const log = createLogger({ destination: { write: (line) => lines.push(line) } })
  log.info({ note: `pasted ${token}` }, `again ${token}`)
  assert.doesNotMatch(lines.join(''), /idpb_/)
})

it('is configured by its SHA-256', () => {
  assert.equal(sha256Of('abc'), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
})

import assert from 'node:assert/strict'
import { mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { inspect } from 'node:util'
import { diskFiles, SecretRef } from '../../src/lib/secret.ts'

function temporary(t: TestContext): (name: string) => string {
  const root = mkdtempSync(join(tmpdir(), 'bridge-secret-'))
  t.after(() => rmSync(root, { recursive: true }))
  return (name) => join(root, name)
}

describe('a secret in a file', () => {
  it('is read again when written, replaced or swapped by link, and only then', (t) => {
    const at = temporary(t)
    let reads = 0
    const read = (path: string) => {
      reads++
      return diskFiles.read(path)
    }
    const files = { ...diskFiles, read }
    writeFileSync(at('v1'), 'one\n')
    writeFileSync(at('v2'), 'two\r\n')
    symlinkSync('v1', at('link'))
    const secret = SecretRef.file(at('link'), files)
    assert.equal(secret.read(), 'one')
    assert.equal(secret.read(), 'one')
    assert.equal(reads, 1)
    symlinkSync('v2', at('next'))
    renameSync(at('next'), at('link'))
    assert.equal(secret.read(), 'two')
    writeFileSync(at('v2'), 'three\n\n')
    assert.equal(secret.read(), 'three\n')
    assert.equal(reads, 3)
  })

  it('fails, naming the path only, when it is gone or empty', (t) => {
    const at = temporary(t)
    writeFileSync(at('s'), 'hush')
    const secret = SecretRef.file(at('s'))
    secret.read()
    unlinkSync(at('s'))
    assert.throws(() => secret.read(), { code: 'E_SECRET', message: `cannot read the secret file ${at('s')} (ENOENT)` })
    writeFileSync(at('s'), '\n')
    assert.throws(() => secret.read(), { code: 'E_SECRET' })
    writeFileSync(at('s'), 'x'.repeat(65_537))
    assert.throws(() => secret.read(), { code: 'E_SECRET' })
  })
})

describe('any secret', () => {
  it('prints as [secret]', () => {
    const secret = SecretRef.of('hush')
    const printed = [inspect(secret), inspect({ secret }), JSON.stringify({ secret }), `${secret}`]
    for (const text of printed) assert.match(text, /\[secret\]/)
    assert.doesNotMatch(printed.join() + inspect(secret, { customInspect: false, showHidden: true }), /hush/)
  })

  it('equals another of the same source', () => {
    assert.ok(SecretRef.of('a').equals(SecretRef.of('a')))
    assert.ok(!SecretRef.of('a').equals(SecretRef.of('b')))
    assert.ok(!SecretRef.of('/a').equals(SecretRef.file('/a')))
    assert.ok(SecretRef.file('/a').equals(SecretRef.file('/a')))
  })
})

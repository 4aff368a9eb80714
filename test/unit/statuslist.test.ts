import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deflateRawSync, deflateSync } from 'node:zlib'
import fc from 'fast-check'
import { type Bits, bitsOfList, setStatus, statusAt } from '../../src/core/statuslist.ts'
import { packStatuses, unpackStatuses } from '../../src/lib/statuslist.ts'

const packed = (bits: Bits, statuses: readonly number[]): Uint8Array => {
  const bytes = new Uint8Array(Math.ceil((statuses.length * bits) / 8))
  for (const [idx, value] of statuses.entries()) setStatus(bytes, bits, idx, value)
  return bytes
}

// draft-ietf-oauth-status-list-20, sections 4.1 and 5.1.
const one = [1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1]
const two = [1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3]

test('the examples of the draft, byte by byte', () => {
  assert.equal(Buffer.from(packed(1, one)).toString('hex'), 'b9a3')
  assert.equal(packStatuses(packed(1, one)), 'eNrbuRgAAhcBXQ')
  assert.equal(Buffer.from(packed(2, two)).toString('hex'), 'c944f9')
  assert.equal(packStatuses(packed(2, two)), 'eNo76fITAAPfAgc')
  for (const [lst, bits, statuses] of [
    ['eNrbuRgAAhcBXQ', 1, one],
    ['eNo76fITAAPfAgc', 2, two],
  ] as const) {
    const bytes = unpackStatuses(lst)
    assert.ok(bytes)
    assert.deepEqual(
      statuses.map((_, idx) => statusAt(bytes, bits, idx)),
      statuses,
    )
  }
})

test('a place outside the list has no status, and cannot be given one', () => {
  const bytes = packed(2, two)
  for (const idx of [12, 1e9, -1, 0.5, Number.NaN, Number.MAX_SAFE_INTEGER]) {
    assert.equal(statusAt(bytes, 2, idx), undefined, `${idx}`)
    assert.throws(() => setStatus(bytes, 2, idx, 1), { code: 'E_BUG' })
  }
  for (const value of [4, -1, 0.5, Number.NaN]) assert.throws(() => setStatus(bytes, 2, 0, value), { code: 'E_BUG' })
  assert.deepEqual(bytes, packed(2, two))
})

test('what is set is read, and nothing else changes, whatever the width', () => {
  const places = fc.array(fc.tuple(fc.nat(199), fc.nat(255)), { maxLength: 60 })
  fc.assert(
    fc.property(fc.constantFrom(...bitsOfList), places, (bits, writes) => {
      const bytes = new Uint8Array((200 * bits) / 8)
      const wanted = Array.from({ length: 200 }, () => 0)
      for (const [idx, any] of writes) {
        const value = any % 2 ** bits
        assert.equal(setStatus(bytes, bits, idx, value), wanted[idx] !== value)
        wanted[idx] = value
      }
      const read = unpackStatuses(packStatuses(bytes)) ?? new Uint8Array()
      assert.deepEqual(
        wanted.map((_, idx) => statusAt(read, bits, idx)),
        wanted,
      )
    }),
  )
})

test('what is no list is none: bad base64url, bad data, another format, a bomb', () => {
  const raw = deflateRawSync(packed(2, two)).toString('base64url')
  const bomb = deflateSync(Buffer.alloc(64 * 1024 * 1024)).toString('base64url')
  for (const lst of ['', 'eNo76fITAAPfAgc=', 'eNo76fITAAPfAgd', 'eNo76fITAAPf', '!', raw, bomb]) {
    assert.equal(unpackStatuses(lst), undefined, lst.slice(0, 40))
  }
})

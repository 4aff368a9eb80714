import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formFields } from '../../src/http/body.ts'

const letters = [...'ab=&%+? 4F.-_é€\u{1f600}\0']

test('a form is read as the URL standard reads it, whether or not there is something to decode', () => {
  const text = fc.array(fc.constantFrom(...letters), { maxLength: 24 }).map((list) => list.join(''))
  fc.assert(
    fc.property(text, (form) => assert.deepEqual(formFields(form), [...new URLSearchParams(form)])),
    {
      numRuns: 5_000,
      examples: [
        ['?a=b'],
        ['a'],
        ['&&'],
        ['='],
        ['=&=b'],
        ['a=b=c'],
        ['%zz'],
        ['a=%C3%28'],
        ['__proto__=b&__proto__=c'],
      ],
    },
  )
})

import type { FastifyInstance, FastifyRequest } from 'fastify'
import { BridgeError } from '../core/errors.ts'
import { mendedName, namesAreSound, plainNames } from '../lib/names.ts'
import { failure } from './problem.ts'

export const bodyLimit = 1280 * 1024
const MAX_DEPTH = 64

/** Recursive readers (canonical form, the store) must not meet what only an attacker nests this deep. */
const tooDeep = (text: string): boolean => {
  let depth = 0
  let inString = false
  for (let index = 0; index < text.length; index++) {
    const character = text[index]
    if (inString) {
      if (character === '\\') index++
      else if (character === '"') inString = false
    } else if (character === '"') inString = true
    else if (character === '{' || character === '[') {
      depth++
      if (depth > MAX_DEPTH) return true
    } else if (character === '}' || character === ']') depth--
  }
  return false
}

/** Names are looked at in the text: see `plainNames`. */
const fits = (value: unknown): boolean => {
  if (typeof value === 'string') return value.isWellFormed()
  if (typeof value === 'number') return Number.isFinite(value)
  if (typeof value !== 'object' || value === null) return true
  return Object.values(value).every(fits)
}

const mended = (value: unknown): unknown => {
  if (typeof value === 'string') return value.toWellFormed()
  if (typeof value === 'number') return Number.isFinite(value) ? value : null
  if (Array.isArray(value)) return value.map(mended)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, mended(inner)]))
}

/**
 * JSON, and JSON merge patches, as the only bodies. An empty body is none: whether one is needed, the schema says.
 * Refused: bytes that are not UTF-8, `__proto__` and `constructor.prototype` members, nesting past 64 levels. Also refused,
 * unless a route has them mended: names with a quote, a backslash or a control character (see `plainNames`), and what has
 * no canonical form (RFC 7493: half a surrogate pair, a number past the doubles).
 */
export const acceptJson = (app: FastifyInstance): void => {
  app.removeAllContentTypeParsers()
  const parse = app.getDefaultJsonParser('error', 'error')
  const types = ['application/json', 'application/merge-patch+json']
  app.addContentTypeParser(types, { parseAs: 'buffer' }, (request: FastifyRequest, body: Buffer, done) => {
    if (body.length === 0) return done(null, undefined)
    let text: string
    try {
      text = textOf(body, request.routeOptions.config.mendText === true ? mendedName : undefined)
    } catch (error) {
      return done(failure(error), undefined)
    }
    parse(request, text, (error, value) => {
      const { uniqueNames } = request.routeOptions.config
      if (error === null && uniqueNames === true && !namesAreSound(text, value, MAX_DEPTH)) {
        return done(new BridgeError('E_JSON', 'An object of the body names a member twice.'), undefined)
      }
      if (error !== null || fits(value)) return done(error, value)
      if (request.routeOptions.config.mendText === true) return done(null, mended(value))
      done(broken(), undefined)
    })
  })
}

const MAX_FORM_FIELDS = 32

/** Names and values in order, as the URL standard reads a form. Tokens and names of gateways have nothing to decode. */
export const formFields = (text: string): [string, string][] => {
  if (/[%+?]/.test(text)) return [...new URLSearchParams(text)]
  const parts = text.split('&').filter((part) => part !== '')
  return parts.map((part) => {
    const at = part.indexOf('=')
    return at < 0 ? [part, ''] : [part.slice(0, at), part.slice(at + 1)]
  })
}

/**
 * A form (`application/x-www-form-urlencoded`) as the only body, as an object of its fields.
 * A field given twice is refused (RFC 6749 section 3.2); an empty one counts as left out (section 3.1).
 */
export const acceptForm = (app: FastifyInstance): void => {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string' }, (_request, body, done) => {
    const fields = formFields(String(body))
    const names = new Set(fields.map(([name]) => name))
    if (names.size !== fields.length || fields.length > MAX_FORM_FIELDS) {
      done(new BridgeError('E_VALIDATION', 'The form has a field twice, or too many of them.'), undefined)
    } else done(null, Object.fromEntries(fields.filter(([, value]) => value !== '')))
  })
  app.addContentTypeParser('*', (_request, _body, done) => {
    const hint = 'Send Content-Type: application/x-www-form-urlencoded.'
    done(new BridgeError('E_MEDIA_TYPE', 'The body is not a form.', { hint }), undefined)
  })
}

/** Bytes that are text, no deeper than anybody needs, with names that are read as they are. @throws BridgeError E_JSON */
const textOf = (bytes: Uint8Array, mend?: (name: string) => string): string => {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new BridgeError('E_JSON', 'The body is not valid UTF-8.', { cause })
  }
  if (tooDeep(text)) throw new BridgeError('E_JSON', `The body nests deeper than ${MAX_DEPTH} levels.`)
  const plain = plainNames(text, mend)
  if (plain === undefined) {
    throw new BridgeError(
      'E_JSON',
      'A member name of the body holds a quote, a backslash, a control character or half a surrogate pair.',
    )
  }
  return plain
}

const broken = () => new BridgeError('E_JSON', 'The body holds a broken character or a number that is too large.')

/** The same for a route that takes bytes. @throws BridgeError E_JSON */
export const parseJson = (bytes: Uint8Array): unknown => {
  const text = textOf(bytes)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new BridgeError('E_JSON', 'The body is not JSON.', { cause })
  }
  if (!fits(value)) throw broken()
  return value
}

/** Any content type, as the bytes that came: what a signature covers. */
export const acceptBytes = (app: FastifyInstance): void => {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
}

import canonicalize from 'canonicalize'

/** JSON Canonicalization Scheme (RFC 8785). Undefined members are dropped, as JSON does. */
export const canonical = (value: unknown): string => {
  const text = canonicalize(value)
  if (text === undefined) throw new TypeError('value has no JSON form')
  return text
}

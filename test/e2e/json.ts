import assert from 'node:assert/strict'

/** What stands at a path of members and indices in a JSON value; undefined when nothing does. */
export const at = (value: unknown, ...path: readonly (string | number)[]): unknown =>
  path.reduce<unknown>(
    (found, step) =>
      typeof found === 'object' && found !== null
        ? Object.entries(found).find(([key]) => key === String(step))?.[1]
        : undefined,
    value,
  )

/** The text at a path; anything else fails the test. */
export const textAt = (value: unknown, ...path: readonly (string | number)[]): string => {
  const found = at(value, ...path)
  assert.ok(typeof found === 'string', `no text at ${path.join('.')}: ${JSON.stringify(value)}`)
  return found
}

/** The list at a path; anything else fails the test. */
export const listAt = (value: unknown, ...path: readonly (string | number)[]): readonly unknown[] => {
  const found = at(value, ...path)
  assert.ok(Array.isArray(found), `no list at ${path.join('.')}: ${JSON.stringify(value)}`)
  return found
}

/** Part of the text parsed as JSON; undefined when it is none. */
export const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

import type { Alteration, Answer } from '../faults.ts'
import type { World } from './world.ts'

let repeats = 0

/** Graph's way to mislead with a success: see `Alteration`. Answers without a list are left as they are, stale ones aside. */
export function alter(world: World, path: string, how: Alteration, run: () => Answer): Answer {
  if (how.altered === 'stale') return world.directory.behind(how.byMs, run)
  const answer = run()
  const { body } = answer
  if (answer.status !== 200 || typeof body !== 'object' || body === null || !('value' in body)) return answer
  const { '@odata.nextLink': next, '@odata.deltaLink': delta, ...rest }: Record<string, unknown> = { ...body }
  const isDelta = /\/delta(\(\))?(\?|$)/.test(path)
  switch (how.altered) {
    case 'empty':
      // A round of a delta query must still end somewhere: only its rows are missing.
      return { ...answer, body: { ...(isDelta ? body : rest), value: [] } }
    case 'looping':
      return { ...answer, body: { ...rest, '@odata.nextLink': `${world.origin}/v1.0${path}` } }
    case 'repeated':
      return { ...answer, body: { ...rest, '@odata.nextLink': `${world.origin}/v1.0${again(world, path)}` } }
  }
}

/** The same page under another token, so that it is no loop. The first page has none: its own address serves. */
function again(world: World, path: string): string {
  return path.replace(/((?:\$|%24)(?:skip|delta)token=)([^&]+)/i, (whole, name: string, token: string) => {
    const opened = world.opaque.open(decodeURIComponent(token))
    if (typeof opened !== 'object' || opened === null) return whole
    repeats += 1
    return `${name}${encodeURIComponent(world.opaque.seal({ ...opened, again: repeats }))}`
  })
}

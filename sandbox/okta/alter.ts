import type { Alteration } from '../faults.ts'
import type { Link, LinkedAnswer } from './wire.ts'
import type { World } from './world.ts'

let repeats = 0

/** The API's way to mislead with a success: see `Alteration`. Answers that are no list are left as they are, stale ones aside. */
export function alter(
  world: World,
  path: string,
  how: Alteration,
  run: () => LinkedAnswer | Promise<LinkedAnswer>,
): LinkedAnswer | Promise<LinkedAnswer> {
  if (how.altered === 'stale') return world.replica.behind(how.byMs, run)
  const answer = run()
  return answer instanceof Promise ? answer : misled(world, path, how.altered, answer)
}

function misled(world: World, path: string, how: 'empty' | 'repeated' | 'looping', answer: LinkedAnswer): LinkedAnswer {
  const { body, links = [] } = answer
  const own = links.filter(({ rel }) => rel === 'self')
  const isPage = typeof body === 'object' && body !== null && 'data' in body && Array.isArray(body.data)
  if (answer.status !== 200 || !(Array.isArray(body) || isPage)) return answer
  if (how === 'empty') {
    if (isPage) return withNext(answer, undefined, [])
    if (!isPoll(path)) return { ...answer, body: [], links: own }
    // Polling the log goes on for ever and misses nothing: as if there were nothing yet, from the same place on.
    const from = again(world, path)
    return from === path
      ? answer
      : { ...answer, body: [], links: [...own, { rel: 'next', url: `${world.origin}${from}` }] }
  }
  const url = `${world.origin}${how === 'looping' ? path : again(world, path)}`
  const next: Link = { rel: 'next', url }
  return isPage ? withNext(answer, url) : { ...answer, links: [...own, next] }
}

function isPoll(path: string): boolean {
  return path.startsWith('/api/v1/logs') && !/[?&](until|sortOrder=DESCENDING)/.test(path)
}

/** A page that links its successor in the body. */
function withNext(answer: LinkedAnswer, next: string | undefined, data?: readonly unknown[]): LinkedAnswer {
  if (typeof answer.body !== 'object' || answer.body === null) return answer
  const { _links, ...rest }: Record<string, unknown> = { ...answer.body }
  const self = typeof _links === 'object' && _links !== null ? Reflect.get(_links, 'self') : undefined
  const links = next === undefined ? { self } : { self, next: { href: next } }
  return { ...answer, body: { ...rest, ...(data === undefined ? {} : { data }), _links: links } }
}

/** The same page under another cursor, so that it is no loop. The first page has none: its own address serves. */
function again(world: World, path: string): string {
  return path.replace(/([?&]after=)([^&]+)/, (whole, name: string, token: string) => {
    const opened = world.opaque.open(decodeURIComponent(token))
    if (typeof opened !== 'object' || opened === null) return whole
    repeats += 1
    return `${name}${encodeURIComponent(world.opaque.seal({ ...opened, repeat: repeats }))}`
  })
}

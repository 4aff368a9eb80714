import { createHmac } from 'node:crypto'
import type { WatchedResource } from './config.ts'
import type { Listed } from './subscriptioncalls.ts'

const TAG = /^[0-9a-f]{12}$/

/**
 * Tells in the address which secret a subscription was made with, since Graph never shows that: so a restart finds its
 * own, and one that was made with another secret is replaced. It opens nothing.
 */
export const tagOf = (clientState: string, address: string): string =>
  createHmac('sha256', clientState).update(address).digest('hex').slice(0, 12)

export const isTag = (text: string | undefined): text is string => text !== undefined && TAG.test(text)

/** Where Graph is told to deliver. */
export const addressOf = (hook: string, tag: string): string => `${hook}?v=${tag}`

/** The tag in the address of a subscription that is ours for certain: it leads to this very hook. */
export function ownTag({ notificationUrl }: Listed, hook: string): string | undefined {
  const url = URL.canParse(notificationUrl ?? '') ? new URL(notificationUrl ?? '') : undefined
  const own = new URL(hook)
  if (url === undefined || url.origin !== own.origin || url.pathname !== own.pathname) return undefined
  const tag = url.searchParams.get('v') ?? undefined
  return isTag(tag) ? tag : undefined
}

export interface Wanted {
  readonly resources: readonly WatchedResource[]
  readonly hook: string
  /** Of the secret that new ones are made with. */
  readonly tag: string
  readonly now: number
  /** What ends sooner is renewed. */
  readonly renewBeforeMs: number
  /** Graph asked for it, or said that it is gone. */
  readonly due: ReadonlySet<string>
  readonly gone: ReadonlySet<string>
}

export interface Plan {
  readonly keep: ReadonlyMap<WatchedResource, Listed>
  readonly renew: readonly WatchedResource[]
  readonly create: readonly WatchedResource[]
  /** Ours and not wanted. One whose resource is to be created goes only after that. */
  readonly remove: readonly { readonly id: string; readonly resource: string }[]
}

/** Case and the slash in front are Graph's to choose. */
export const resourceOf = ({ resource }: Pick<Listed, 'resource'>): string => resource.replace(/^\//, '').toLowerCase()

/** What is to be done about what is there. Subscriptions that are not ours for certain are never touched. */
export function planOf(present: readonly Listed[], wanted: Wanted): Plan {
  const { resources, hook, tag, now, renewBeforeMs, due, gone } = wanted
  const own = present.filter((each) => ownTag(each, hook) !== undefined)
  const keep = new Map<WatchedResource, Listed>()
  for (const resource of resources) {
    const [best] = own
      .filter((each) => resourceOf(each) === resource.toLowerCase() && ownTag(each, hook) === tag)
      .filter((each) => !gone.has(each.id) && each.expirationDateTime > now)
      .sort((a, b) => b.expirationDateTime - a.expirationDateTime || (a.id < b.id ? -1 : 1))
    if (best !== undefined) keep.set(resource, best)
  }
  const kept = new Set([...keep.values()].map(({ id }) => id))
  return {
    keep,
    renew: [...keep]
      .filter(([, { id, expirationDateTime }]) => due.has(id) || expirationDateTime - now < renewBeforeMs)
      .map(([resource]) => resource),
    create: resources.filter((resource) => !keep.has(resource)),
    remove: own.filter(({ id }) => !kept.has(id)).map((each) => ({ id: each.id, resource: resourceOf(each) })),
  }
}

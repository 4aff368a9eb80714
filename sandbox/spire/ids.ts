import { Refused, status } from './refused.ts'

/** As the wire has it; the path begins with a slash. */
export interface SpiffeId {
  readonly trust_domain: string
  readonly path: string
}

const trustDomain = /^[a-z0-9._-]+$/

export const idText = ({ path, trust_domain }: SpiffeId): string => `spiffe://${trust_domain}${path}`

/** The id as the wire has it; throws when it is none. */
export function idOf(text: string): SpiffeId {
  const [, domain = '', path = ''] = /^spiffe:\/\/([^/]*)(.*)$/.exec(text) ?? []
  const id = { trust_domain: domain, path }
  const wrong = malformed(id)
  if (wrong !== undefined) throw new Error(`${text} is not a SPIFFE ID: ${wrong}`)
  return id
}

export function isTrustDomain(name: string): boolean {
  return trustDomain.test(name)
}

function malformed({ path, trust_domain }: SpiffeId): string | undefined {
  if (trust_domain === '') return 'trust domain is missing'
  if (!trustDomain.test(trust_domain)) {
    return 'trust domain characters are limited to lowercase letters, numbers, dots, dashes, and underscores'
  }
  if (path === '') return undefined
  if (!path.startsWith('/')) return 'path must have a leading slash'
  const segments = path.slice(1).split('/')
  for (const [index, segment] of segments.entries()) {
    if (segment === '') {
      return index === segments.length - 1 ? 'path cannot have a trailing slash' : 'path cannot contain empty segments'
    }
    if (segment === '.' || segment === '..') return 'path cannot contain dot segments'
    if (!/^[A-Za-z0-9._-]+$/.test(segment)) {
      return 'path segment characters are limited to letters, numbers, dots, dashes, and underscores'
    }
  }
  return undefined
}

type Place = 'member' | 'workload' | 'agent'

/** The id, if it is of that trust domain and may stand at that place; refused otherwise, with `what` before the reason. */
export function checkedId(id: SpiffeId | null, domain: string, place: Place, what: string): SpiffeId {
  const wrong = id === null ? 'request must specify SPIFFE ID' : (malformed(id) ?? misplaced(id, domain, place))
  if (id === null || wrong !== undefined) throw new Refused(status.invalidArgument, `${what}: ${wrong}`)
  return id
}

const kinds = { member: 'a member of', workload: 'a workload in', agent: 'an agent in' }

function misplaced(id: SpiffeId, domain: string, place: Place): string | undefined {
  const text = idText(id)
  if (id.trust_domain !== domain) return `"${text}" is not a member of trust domain "${domain}"`
  const not = `"${text}" is not ${kinds[place]} trust domain "${domain}"; path is`
  if (id.path === '') return `${not} empty`
  const isReserved = id.path === '/spire' || id.path.startsWith('/spire/')
  if (place === 'workload' && isReserved) return `${not} in the reserved namespace`
  if (place === 'agent' && !id.path.startsWith('/spire/agent/')) return `${not} not in the agent namespace`
  return undefined
}

import { BridgeError } from '../../src/core/errors.ts'

/** One link of RFC 8288 with its parameters: an address may hold commas, so a header is not split at them. */
const LINK = /<([^<>]*)>((?:\s*;\s*[^\s;,="]+\s*(?:=\s*(?:"(?:[^"\\]|\\.)*"|[^\s;,"]*))?)*)/g
const REL = /;\s*rel\s*=\s*(?:"([^"]*)"|([^\s;,"]*))/i

/** The addresses of one relation in `Link` headers, joined or not. */
export function linksOf(header: string | null, relation: string): string[] {
  const found: string[] = []
  for (const [, address = '', parameters = ''] of (header ?? '').matchAll(LINK)) {
    const rel = REL.exec(parameters)
    const names = (rel?.[1] ?? rel?.[2] ?? '').toLowerCase().split(/\s+/)
    if (names.includes(relation)) found.push(address)
  }
  return found
}

/**
 * An opaque link of the org, unchanged, once it is sure to lead back to it.
 * @throws BridgeError E_OUTBOUND_ORIGIN
 */
export function pinnedLink(link: string, origin: string): string {
  const url = URL.canParse(link) ? new URL(link) : undefined
  const isOurs = url?.origin === origin && url.username === '' && url.password === ''
  const isApi = isOurs && /^\/(workload-principals\/)?api\/v1\//.test(url.pathname)
  if (isApi && link.startsWith(`${origin}/`)) return link
  throw new BridgeError('E_OUTBOUND_ORIGIN', 'the directory named an address that is not its own', {
    hint: `only addresses below ${origin}/api/v1/ are called: orgUrl must be the address that the org itself uses`,
  })
}

import type { SpiffeId } from '../src/lib/svid.ts'

export { parseId, type SpiffeId, trustDomainShape } from '../src/lib/svid.ts'

export const textOf = ({ trust_domain, path }: SpiffeId): string => `spiffe://${trust_domain}${path}`

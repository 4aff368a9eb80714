import type { Spire } from './spire.ts'

export interface Contoso {
  /** SPIFFE IDs of the agents that run as workloads. */
  readonly agents: { readonly analyst: string; readonly scout: string }
}

export const contosoDomain = 'contoso.example'

/** The company of the Entra tenant's seed in SPIRE. */
export function seedContoso(spire: Spire): Contoso {
  const workload = (name: string, selectors: readonly string[]) => {
    const spiffeId = `spiffe://${spire.trustDomain}/agents/${name}`
    spire.addEntry({ id: name, spiffeId, selectors, more: { jwt_svid_ttl: 60, x509_svid_ttl: 600 } })
    return spiffeId
  }
  return {
    agents: {
      analyst: workload('data-analyst-agent', ['k8s:ns:agents', 'k8s:sa:data-analyst-agent']),
      scout: workload('market-scout-agent', ['k8s:ns:agents', 'k8s:sa:market-scout-agent']),
    },
  }
}

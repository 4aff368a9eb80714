import type { EntraConfig } from './config.ts'

/** Origins and issuers of one Microsoft cloud, without a slash at the end. */
export interface Cloud {
  readonly authority: string
  readonly graph: string
  /** Hosts of `iss` in v1.0 tokens: `{host}/{tid}/`. */
  readonly v1Issuers: readonly string[]
  /** Hosts of `iss` in v2.0 tokens: `{host}/{tid}/v2.0`. */
  readonly v2Issuers: readonly string[]
  /** Application id of Microsoft.EventGrid; undefined where none is published. */
  readonly eventGridAppId: string | undefined
}

/**
 * Graph `concepts/deployments.md`, identity platform `access-tokens.md`, Event Grid secure webhook delivery (read 2026-11).
 * v1.0 issuer hosts outside the public cloud are not in the pages read: they need a look at the tenant's own metadata.
 */
export const clouds: Readonly<Record<EntraConfig['cloud'], Cloud>> = {
  public: {
    authority: 'https://login.microsoftonline.com',
    graph: 'https://graph.microsoft.com',
    v1Issuers: ['https://sts.windows.net'],
    v2Issuers: ['https://login.microsoftonline.com'],
    eventGridAppId: '4962773b-9cdb-44cf-a8bf-237846a00ab7',
  },
  usgov: {
    authority: 'https://login.microsoftonline.us',
    graph: 'https://graph.microsoft.us',
    v1Issuers: ['https://sts.windows.net'],
    v2Issuers: ['https://login.microsoftonline.us'],
    eventGridAppId: '54316b56-3481-47f9-8f30-0300f5542a7b',
  },
  usgovdod: {
    authority: 'https://login.microsoftonline.us',
    graph: 'https://dod-graph.microsoft.us',
    v1Issuers: ['https://sts.windows.net'],
    v2Issuers: ['https://login.microsoftonline.us'],
    eventGridAppId: '54316b56-3481-47f9-8f30-0300f5542a7b',
  },
  china: {
    authority: 'https://login.chinacloudapi.cn',
    graph: 'https://microsoftgraph.chinacloudapi.cn',
    v1Issuers: ['https://sts.chinacloudapi.cn'],
    v2Issuers: ['https://login.partner.microsoftonline.cn', 'https://login.chinacloudapi.cn'],
    eventGridAppId: undefined,
  },
}

/** The cloud of a configuration with its overrides applied. An overridden authority also speaks for v2.0 tokens. */
export function cloudOf(config: Pick<EntraConfig, 'cloud' | 'endpoints'>): Cloud {
  const cloud = clouds[config.cloud]
  const { authority, graph } = config.endpoints
  return {
    ...cloud,
    authority: authority ?? cloud.authority,
    graph: graph ?? cloud.graph,
    v2Issuers: authority === undefined ? cloud.v2Issuers : [...new Set([authority, ...cloud.v2Issuers])],
  }
}

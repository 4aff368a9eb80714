import { message, methodsOf, service } from '../protobuf.ts'

/**
 * What is used of the messages of SPIRE's server API, by their field numbers (spire-api-sdk v1.15, read 2026-11). Fields
 * left out are passed over when read, and left alone when written: every write names its fields by a mask.
 */
const v1 = (nested: Readonly<Record<string, object>>) => ({ nested: { v1: { nested } } })

const types = '.spire.api.types'
const entryMask = {
  spiffe_id: ['bool', 2],
  parent_id: ['bool', 3],
  selectors: ['bool', 4],
  x509_svid_ttl: ['bool', 5],
  admin: ['bool', 7],
  downstream: ['bool', 8],
  revision_number: ['bool', 11],
  store_svid: ['bool', 12],
  jwt_svid_ttl: ['bool', 13],
} as const

const root = {
  nested: {
    spire: {
      nested: {
        api: {
          nested: {
            types: {
              nested: {
                SPIFFEID: message({ trust_domain: ['string', 1], path: ['string', 2] }),
                Selector: message({ type: ['string', 1], value: ['string', 2] }),
                Status: message({ code: ['int32', 1], message: ['string', 2] }),
                BoolValue: message({ value: ['bool', 1] }),
                EntryMask: message(entryMask),
                Entry: message({
                  id: ['string', 1],
                  spiffe_id: ['SPIFFEID', 2],
                  parent_id: ['SPIFFEID', 3],
                  selectors: ['Selector', 4, 'repeated'],
                  x509_svid_ttl: ['int32', 5],
                  admin: ['bool', 7],
                  downstream: ['bool', 8],
                  revision_number: ['int64', 11],
                  store_svid: ['bool', 12],
                  jwt_svid_ttl: ['int32', 13],
                }),
                Agent: message({ id: ['SPIFFEID', 1] }),
                AgentMask: message({}),
                X509Certificate: message({ asn1: ['bytes', 1], tainted: ['bool', 2] }),
                JWTKey: message({
                  public_key: ['bytes', 1],
                  key_id: ['string', 2],
                  expires_at: ['int64', 3],
                  tainted: ['bool', 4],
                }),
                Bundle: message({
                  trust_domain: ['string', 1],
                  x509_authorities: ['X509Certificate', 2, 'repeated'],
                  jwt_authorities: ['JWTKey', 3, 'repeated'],
                  refresh_hint: ['int64', 4],
                  sequence_number: ['uint64', 5],
                }),
              },
            },
            server: {
              nested: {
                entry: v1({
                  ListEntriesRequest: message(
                    {
                      filter: ['Filter', 1],
                      output_mask: [`${types}.EntryMask`, 2],
                      page_size: ['int32', 3],
                      page_token: ['string', 4],
                    },
                    { Filter: message({ by_spiffe_id: [`${types}.SPIFFEID`, 1] }) },
                  ),
                  ListEntriesResponse: message({
                    entries: [`${types}.Entry`, 1, 'repeated'],
                    next_page_token: ['string', 2],
                  }),
                  BatchUpdateEntryRequest: message({
                    entries: [`${types}.Entry`, 1, 'repeated'],
                    input_mask: [`${types}.EntryMask`, 2],
                    output_mask: [`${types}.EntryMask`, 3],
                  }),
                  BatchUpdateEntryResponse: message(
                    { results: ['Result', 1, 'repeated'] },
                    { Result: message({ status: [`${types}.Status`, 1], entry: [`${types}.Entry`, 2] }) },
                  ),
                  Entry: service({
                    ListEntries: ['ListEntriesRequest', 'ListEntriesResponse'],
                    BatchUpdateEntry: ['BatchUpdateEntryRequest', 'BatchUpdateEntryResponse'],
                  }),
                }),
                agent: v1({
                  ListAgentsRequest: message(
                    {
                      filter: ['Filter', 1],
                      output_mask: [`${types}.AgentMask`, 2],
                      page_size: ['int32', 3],
                      page_token: ['string', 4],
                    },
                    { Filter: message({ by_banned: [`${types}.BoolValue`, 3] }) },
                  ),
                  ListAgentsResponse: message({
                    agents: [`${types}.Agent`, 1, 'repeated'],
                    next_page_token: ['string', 2],
                  }),
                  Agent: service({ ListAgents: ['ListAgentsRequest', 'ListAgentsResponse'] }),
                }),
                bundle: v1({
                  GetBundleRequest: message({}),
                  GetFederatedBundleRequest: message({ trust_domain: ['string', 1] }),
                  Bundle: service({
                    GetBundle: ['GetBundleRequest', `${types}.Bundle`],
                    GetFederatedBundle: ['GetFederatedBundleRequest', `${types}.Bundle`],
                  }),
                }),
              },
            },
          },
        },
      },
    },
  },
}

const method = methodsOf(root)

export const methods = {
  listEntries: method('spire.api.server.entry.v1.Entry', 'ListEntries'),
  updateEntries: method('spire.api.server.entry.v1.Entry', 'BatchUpdateEntry'),
  listAgents: method('spire.api.server.agent.v1.Agent', 'ListAgents'),
  getBundle: method('spire.api.server.bundle.v1.Bundle', 'GetBundle'),
  getFederatedBundle: method('spire.api.server.bundle.v1.Bundle', 'GetFederatedBundle'),
}

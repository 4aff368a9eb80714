import { fromJSON, type ServiceDefinition } from '@grpc/proto-loader'

/** A field as `number [repeated|optional] type`, or `number map type` with text as keys. */
type Fields = Readonly<Record<string, string>>

const field = (text: string) => {
  const [number, ...rest] = text.split(' ')
  const id = Number(number)
  const type = rest.at(-1) ?? ''
  if (rest[0] === 'repeated') return { id, type, rule: 'repeated' as const }
  if (rest[0] === 'map') return { id, type, keyType: 'string' }
  return rest[0] === 'optional' ? { id, type, options: { proto3_optional: true } } : { id, type }
}

const message = (fields: Fields, nested = {}) => ({
  fields: Object.fromEntries(Object.entries(fields).map(([name, text]) => [name, field(text)])),
  nested,
})

/** Calls as `Request Answer`, with `stream` before an answer that is one. */
const service = (calls: Readonly<Record<string, string>>) => ({
  methods: Object.fromEntries(
    Object.entries(calls).map(([name, text]) => {
      const [requestType = '', ...rest] = text.split(' ')
      return [name, { requestType, responseType: rest.at(-1) ?? '', responseStream: rest[0] === 'stream', comment: '' }]
    }),
  ),
})

type Nested = NonNullable<Parameters<typeof fromJSON>[0]['nested']>

const inside = (path: string, nested: Nested): Nested => {
  const [first = '', ...rest] = path.split('.')
  return { [first]: { nested: rest.length === 0 ? nested : inside(rest.join('.'), nested) } }
}

const t = '.spire.api.types'
const matchBehavior = {
  MatchBehavior: { values: { MATCH_EXACT: 0, MATCH_SUBSET: 1, MATCH_SUPERSET: 2, MATCH_ANY: 3 } },
}
const authorityKey = { public_key: '1 bytes', key_id: '2 string', expires_at: '3 int64', tainted: '4 bool' }

const types = {
  SPIFFEID: message({ trust_domain: '1 string', path: '2 string' }),
  Selector: message({ type: '1 string', value: '2 string' }),
  SelectorMatch: message({ selectors: '1 repeated Selector', match: '2 MatchBehavior' }, matchBehavior),
  FederatesWithMatch: message({ trust_domains: '1 repeated string', match: '2 MatchBehavior' }, matchBehavior),
  Status: message({ code: '1 int32', message: '2 string' }),
  Entry: message(
    {
      id: '1 string',
      spiffe_id: '2 SPIFFEID',
      parent_id: '3 SPIFFEID',
      selectors: '4 repeated Selector',
      x509_svid_ttl: '5 int32',
      federates_with: '6 repeated string',
      admin: '7 bool',
      downstream: '8 bool',
      expires_at: '9 int64',
      dns_names: '10 repeated string',
      revision_number: '11 int64',
      store_svid: '12 bool',
      jwt_svid_ttl: '13 int32',
      hint: '14 string',
      created_at: '15 int64',
      additional_attributes: '16 optional AdditionalAttributes',
    },
    { AdditionalAttributes: message({ disable_x509_svid_prefetch: '1 bool', jwt_svid_include_jti: '2 bool' }) },
  ),
  EntryMask: message({
    spiffe_id: '2 bool',
    parent_id: '3 bool',
    selectors: '4 bool',
    x509_svid_ttl: '5 bool',
    federates_with: '6 bool',
    admin: '7 bool',
    downstream: '8 bool',
    expires_at: '9 bool',
    dns_names: '10 bool',
    revision_number: '11 bool',
    store_svid: '12 bool',
    jwt_svid_ttl: '13 bool',
    hint: '14 bool',
    created_at: '15 bool',
    additional_attributes: '16 bool',
  }),
  Agent: message({
    id: '1 SPIFFEID',
    attestation_type: '2 string',
    x509svid_serial_number: '3 string',
    x509svid_expires_at: '4 int64',
    selectors: '5 repeated Selector',
    banned: '6 bool',
    can_reattest: '7 bool',
    agent_version: '8 string',
  }),
  AgentMask: message({
    attestation_type: '2 bool',
    x509svid_serial_number: '3 bool',
    x509svid_expires_at: '4 bool',
    selectors: '5 bool',
    banned: '6 bool',
    can_reattest: '7 bool',
    agent_version: '8 bool',
  }),
  X509Certificate: message({ asn1: '1 bytes', tainted: '2 bool' }),
  JWTKey: message(authorityKey),
  WITKey: message(authorityKey),
  Bundle: message({
    trust_domain: '1 string',
    x509_authorities: '2 repeated X509Certificate',
    jwt_authorities: '3 repeated JWTKey',
    refresh_hint: '4 int64',
    sequence_number: '5 uint64',
    wit_authorities: '6 repeated WITKey',
  }),
  BundleMask: message({
    x509_authorities: '2 bool',
    jwt_authorities: '3 bool',
    refresh_hint: '4 bool',
    sequence_number: '5 bool',
    wit_authorities: '6 bool',
  }),
  JWTSVID: message({
    token: '1 string',
    id: `2 SPIFFEID`,
    expires_at: '3 int64',
    issued_at: '4 int64',
    hint: '5 string',
  }),
}

const entryFilter = {
  Filter: message({
    by_spiffe_id: `1 ${t}.SPIFFEID`,
    by_parent_id: `2 ${t}.SPIFFEID`,
    by_selectors: `3 ${t}.SelectorMatch`,
    by_federates_with: `4 ${t}.FederatesWithMatch`,
    by_hint: '5 .google.protobuf.StringValue',
    by_downstream: '6 .google.protobuf.BoolValue',
  }),
}
const entryResult = { Result: message({ status: `1 ${t}.Status`, entry: `2 ${t}.Entry` }) }

const entry = {
  Entry: service({
    CountEntries: 'CountEntriesRequest CountEntriesResponse',
    ListEntries: 'ListEntriesRequest ListEntriesResponse',
    GetEntry: `GetEntryRequest ${t}.Entry`,
    BatchCreateEntry: 'BatchCreateEntryRequest BatchCreateEntryResponse',
    BatchUpdateEntry: 'BatchUpdateEntryRequest BatchUpdateEntryResponse',
    BatchDeleteEntry: 'BatchDeleteEntryRequest BatchDeleteEntryResponse',
  }),
  CountEntriesRequest: message({ filter: '1 Filter' }, entryFilter),
  CountEntriesResponse: message({ count: '1 int32' }),
  ListEntriesRequest: message(
    { filter: '1 Filter', output_mask: `2 ${t}.EntryMask`, page_size: '3 int32', page_token: '4 string' },
    entryFilter,
  ),
  ListEntriesResponse: message({ entries: `1 repeated ${t}.Entry`, next_page_token: '2 string' }),
  GetEntryRequest: message({ id: '1 string', output_mask: `2 ${t}.EntryMask` }),
  BatchCreateEntryRequest: message({ entries: `1 repeated ${t}.Entry`, output_mask: `2 ${t}.EntryMask` }),
  BatchCreateEntryResponse: message({ results: '1 repeated Result' }, entryResult),
  BatchUpdateEntryRequest: message({
    entries: `1 repeated ${t}.Entry`,
    input_mask: `2 ${t}.EntryMask`,
    output_mask: `3 ${t}.EntryMask`,
  }),
  BatchUpdateEntryResponse: message({ results: '1 repeated Result' }, entryResult),
  BatchDeleteEntryRequest: message({ ids: '1 repeated string' }),
  BatchDeleteEntryResponse: message(
    { results: '1 repeated Result' },
    { Result: message({ status: `1 ${t}.Status`, id: '2 string' }) },
  ),
}

const agent = {
  Agent: service({
    CountAgents: 'CountAgentsRequest CountAgentsResponse',
    ListAgents: 'ListAgentsRequest ListAgentsResponse',
    GetAgent: `GetAgentRequest ${t}.Agent`,
    BanAgent: 'BanAgentRequest .google.protobuf.Empty',
    DeleteAgent: 'DeleteAgentRequest .google.protobuf.Empty',
  }),
  CountAgentsRequest: message({}),
  CountAgentsResponse: message({ count: '1 int32' }),
  ListAgentsRequest: message(
    { filter: '1 Filter', output_mask: `2 ${t}.AgentMask`, page_size: '3 int32', page_token: '4 string' },
    {
      Filter: message({
        by_attestation_type: '1 string',
        by_selector_match: `2 ${t}.SelectorMatch`,
        by_banned: '3 .google.protobuf.BoolValue',
        by_can_reattest: '4 .google.protobuf.BoolValue',
        by_expires_before: '5 string',
      }),
    },
  ),
  ListAgentsResponse: message({ agents: `1 repeated ${t}.Agent`, next_page_token: '2 string' }),
  GetAgentRequest: message({ id: `1 ${t}.SPIFFEID`, output_mask: `2 ${t}.AgentMask` }),
  BanAgentRequest: message({ id: `1 ${t}.SPIFFEID` }),
  DeleteAgentRequest: message({ id: `1 ${t}.SPIFFEID` }),
}

const bundle = {
  Bundle: service({
    GetBundle: `GetBundleRequest ${t}.Bundle`,
    GetFederatedBundle: `GetFederatedBundleRequest ${t}.Bundle`,
    ListFederatedBundles: 'ListFederatedBundlesRequest ListFederatedBundlesResponse',
  }),
  GetBundleRequest: message({ output_mask: `1 ${t}.BundleMask` }),
  GetFederatedBundleRequest: message({ trust_domain: '1 string', output_mask: `2 ${t}.BundleMask` }),
  ListFederatedBundlesRequest: message({
    output_mask: `1 ${t}.BundleMask`,
    page_size: '2 int32',
    page_token: '3 string',
  }),
  ListFederatedBundlesResponse: message({ bundles: `1 repeated ${t}.Bundle`, next_page_token: '2 string' }),
}

const svid = {
  SVID: service({ MintJWTSVID: 'MintJWTSVIDRequest MintJWTSVIDResponse' }),
  MintJWTSVIDRequest: message({ id: `1 ${t}.SPIFFEID`, audience: '2 repeated string', ttl: '3 int32' }),
  MintJWTSVIDResponse: message({ svid: `1 ${t}.JWTSVID` }),
}

const workload = {
  SpiffeWorkloadAPI: service({
    FetchX509SVID: 'X509SVIDRequest stream X509SVIDResponse',
    FetchX509Bundles: 'X509BundlesRequest stream X509BundlesResponse',
    FetchJWTSVID: 'JWTSVIDRequest JWTSVIDResponse',
    FetchJWTBundles: 'JWTBundlesRequest stream JWTBundlesResponse',
  }),
  X509SVIDRequest: message({}),
  X509SVIDResponse: message({
    svids: '1 repeated X509SVID',
    crl: '2 repeated bytes',
    federated_bundles: '3 map bytes',
  }),
  X509SVID: message({
    spiffe_id: '1 string',
    x509_svid: '2 bytes',
    x509_svid_key: '3 bytes',
    bundle: '4 bytes',
    hint: '5 string',
  }),
  X509BundlesRequest: message({}),
  X509BundlesResponse: message({ crl: '1 repeated bytes', bundles: '2 map bytes' }),
  JWTSVIDRequest: message({ audience: '1 repeated string', spiffe_id: '2 string' }),
  JWTSVIDResponse: message({ svids: '1 repeated JWTSVID' }),
  JWTSVID: message({ spiffe_id: '1 string', svid: '2 string', hint: '3 string' }),
  JWTBundlesRequest: message({}),
  JWTBundlesResponse: message({ bundles: '1 map bytes' }),
}

const server = (name: string, nested: Nested) => ({ [name]: { nested: { v1: { nested } } } })

/**
 * The part of the wire that is spoken here, as the project publishes it (spiffe/spire-api-sdk `proto/spire/api`, of v1.15;
 * spiffe/go-spiffe `proto/spiffe/workload`, whose service is in no package), in the JSON form of protobuf.js.
 */
export const wire = {
  nested: {
    ...workload,
    ...inside('google.protobuf', {
      StringValue: message({ value: '1 string' }),
      BoolValue: message({ value: '1 bool' }),
      Empty: message({}),
    }),
    ...inside('spire.api', {
      types: { nested: types },
      server: {
        nested: {
          ...server('entry', entry),
          ...server('agent', agent),
          ...server('bundle', bundle),
          ...server('svid', svid),
        },
      },
    }),
  },
}

// What was not sent reads as null, so that no mask and an empty mask differ.
export const definitions = fromJSON(wire, { keepCase: true, longs: String, defaults: true })

/** By its full name, such as `spire.api.server.entry.v1.Entry`. */
export function serviceNamed(name: string): ServiceDefinition {
  const found = definitions[name]
  if (found === undefined || 'format' in found) throw new Error(`there is no service ${name}`)
  return found
}

import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

const PREFIX = 'idp_bridge_'
const REQUEST_SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
const STORE_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1]
const PROPAGATION_SECONDS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 3600]
const SYNC_SECONDS = [0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600]

interface Row {
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly help: string
  readonly labels: readonly string[]
  readonly buckets?: readonly number[]
}

/** Every metric of the bridge, by name without the prefix. Label values come from configuration or from fixed sets. */
export const metricTable = {
  suspension_propagation_seconds: {
    type: 'histogram',
    help: 'From the commit of a hold to the acknowledgement of one side',
    labels: ['from', 'to'],
    buckets: PROPAGATION_SECONDS,
  },
  decisions_total: { type: 'counter', help: 'Decisions asked for', labels: ['face', 'allow'] },
  decision_refusals_total: { type: 'counter', help: 'Refusal codes in decisions', labels: ['code'] },
  decision_seconds: { type: 'histogram', help: 'Time to decide', labels: [], buckets: STORE_SECONDS },
  roster_agents: { type: 'gauge', help: 'Agents, and whoever else is held, in memory', labels: [] },
  token_verifications_total: { type: 'counter', help: 'Tokens verified', labels: ['adapter', 'outcome'] },
  self_registrations_total: {
    type: 'counter',
    help: 'Agents that registered or proved themselves, or tried to',
    labels: ['outcome'],
  },
  passports_total: { type: 'counter', help: 'Passports asked for, issued or by code of refusal', labels: ['outcome'] },
  status_lists_signed_total: { type: 'counter', help: 'Signatures on status lists', labels: [] },
  holds_open: { type: 'gauge', help: 'Open holds', labels: ['severity'] },
  trust_reports_total: { type: 'counter', help: 'Trust scores reported, by what became of them', labels: ['status'] },
  hook_deliveries_total: { type: 'counter', help: 'Webhook deliveries', labels: ['adapter', 'outcome'] },
  subscription_expires_seconds: {
    type: 'gauge',
    help: 'When a subscription to changes ends, in seconds since 1970; 0 while there is none',
    labels: ['adapter', 'resource'],
  },
  subscription_changes_total: {
    type: 'counter',
    help: 'What became of subscriptions to changes',
    labels: ['adapter', 'resource', 'outcome'],
  },
  hook_queue_reads_total: {
    type: 'counter',
    help: 'Looks into the queue of a directory',
    labels: ['adapter', 'outcome'],
  },
  hook_queue_messages_total: {
    type: 'counter',
    help: 'Messages of the queue of a directory, by what became of them',
    labels: ['adapter', 'outcome'],
  },
  hook_queue_failing: { type: 'gauge', help: '1 while the queue of a directory cannot be read', labels: ['adapter'] },
  outbound_requests_total: {
    type: 'counter',
    help: 'Requests to directories by status class or error code',
    labels: ['origin', 'outcome'],
  },
  outbound_seconds: {
    type: 'histogram',
    help: 'Time of a request to a directory, body included',
    labels: ['origin'],
    buckets: REQUEST_SECONDS,
  },
  adapter_staleness_seconds: {
    type: 'gauge',
    help: 'Age of the oldest reading of a mapped account',
    labels: ['adapter'],
  },
  mirror_writes_total: { type: 'counter', help: 'Writes to directories', labels: ['adapter', 'action', 'outcome'] },
  mirror_lane_depth: { type: 'gauge', help: 'Accounts waiting for work', labels: ['adapter', 'lane'] },
  sync_seconds: {
    type: 'histogram',
    help: 'Time of a pass over a directory',
    labels: ['adapter', 'pass'],
    buckets: SYNC_SECONDS,
  },
  sync_passes_total: { type: 'counter', help: 'Passes over a directory', labels: ['adapter', 'pass', 'outcome'] },
  signals_clients: { type: 'gauge', help: 'Open signal streams', labels: [] },
  pushes_total: {
    type: 'counter',
    help: 'Signals pushed to outlets, by what became of the attempt',
    labels: ['outlet', 'outcome'],
  },
  push_behind: { type: 'gauge', help: 'Signals past what an outlet was told', labels: ['outlet', 'lane'] },
  push_set_aside: { type: 'gauge', help: 'Signals an outlet did not take', labels: ['outlet', 'state'] },
  push_disabled: { type: 'gauge', help: '1 while an outlet is told nothing', labels: ['outlet'] },
  store_tx_seconds: {
    type: 'histogram',
    help: 'Time of a store transaction',
    labels: ['kind'],
    buckets: STORE_SECONDS,
  },
  tls_certificate_expires_seconds: {
    type: 'gauge',
    help: 'When a certificate of ours ends, in seconds since 1970',
    labels: ['use'],
  },
  store_writable: { type: 'gauge', help: '0 while the store takes no writes', labels: [] },
  guard_tripped: { type: 'gauge', help: '1 while the guard holds back changes', labels: ['adapter', 'direction'] },
  directory_quarantined: {
    type: 'gauge',
    help: '1 while what the directory says is doubted',
    labels: ['adapter', 'why'],
  },
  config_reload_total: { type: 'counter', help: 'Reloads of the configuration', labels: ['outcome'] },
  trace_spans_total: { type: 'counter', help: 'Spans given to the collector, or lost', labels: ['outcome'] },
  audit_entries_total: { type: 'counter', help: 'Entries written to the audit log', labels: [] },
} as const satisfies Readonly<Record<string, Row>>

type Table = typeof metricTable
type Named<T extends Row['type']> = { [N in keyof Table]: Table[N]['type'] extends T ? N : never }[keyof Table]
type Labels<N extends keyof Table> = Readonly<Record<Table[N]['labels'][number], string>>

export interface Metrics {
  /** Adds to a counter. */
  inc<N extends Named<'counter'>>(name: N, labels: Labels<N>, by?: number): void
  /** Sets a gauge. */
  set<N extends Named<'gauge'>>(name: N, labels: Labels<N>, value: number): void
  /** Adds one observation, in the unit of the name, to a histogram. */
  observe<N extends Named<'histogram'>>(name: N, labels: Labels<N>, value: number): void
  /** Forgets a gauge's series, as when an adapter was removed. */
  drop<N extends Named<'gauge'>>(name: N, labels: Labels<N>): void
  /** For `createOutbound`. */
  outbound(origin: string, outcome: string, seconds: number): void
  /** The exposition for `/metrics`. */
  text(): Promise<string>
  readonly contentType: string
}

/** A registry of its own with every metric of the table; `processMetrics` adds Node's (memory, event loop, collections). */
export function createMetrics({ processMetrics = false }: { processMetrics?: boolean } = {}): Metrics {
  const registry = new Registry()
  const counters = new Map<string, Counter>()
  const gauges = new Map<string, Gauge>()
  const histograms = new Map<string, Histogram>()
  for (const [name, row] of Object.entries<Row>(metricTable)) {
    const common = { name: PREFIX + name, help: row.help, labelNames: [...row.labels], registers: [registry] }
    if (row.type === 'counter') counters.set(name, new Counter(common))
    else if (row.type === 'gauge') gauges.set(name, new Gauge(common))
    else histograms.set(name, new Histogram({ ...common, buckets: [...(row.buckets ?? REQUEST_SECONDS)] }))
  }
  if (processMetrics) collectDefaultMetrics({ register: registry })

  const metrics: Metrics = {
    inc: (name, labels, by = 1) => counters.get(name)?.inc({ ...labels }, by),
    set: (name, labels, value) => gauges.get(name)?.set({ ...labels }, value),
    observe: (name, labels, value) => histograms.get(name)?.observe({ ...labels }, value),
    drop: (name, labels) => gauges.get(name)?.remove({ ...labels }),
    outbound(origin, outcome, seconds) {
      metrics.inc('outbound_requests_total', { origin, outcome })
      metrics.observe('outbound_seconds', { origin }, seconds)
    },
    text: () => registry.metrics(),
    contentType: registry.contentType,
  }
  return metrics
}

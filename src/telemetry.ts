import type { Config } from './config.ts'
import type { Clock } from './lib/clock.ts'
import type { Logger } from './lib/log.ts'
import type { Metrics } from './lib/metrics.ts'
import { createOutbound, type OutboundOptions } from './lib/outbound.ts'
import type { Tracing } from './lib/tracing.ts'

interface Parts {
  readonly outward: OutboundOptions
  readonly version: string
  readonly log: Logger
  readonly metrics: Pick<Metrics, 'inc'>
  readonly clock: Clock
  readonly stack: AsyncDisposableStack
}

/** What is left at the end is sent within this, or lost. */
const lastMs = 2_000
const limits = { timeoutMs: 10_000, maxBytes: 64 * 1024 }

/** Traces as configured. Without, undefined, and their library is not even loaded. The stack sends what is left at the end. */
export const openTracing = async (
  { telemetry }: Pick<Config, 'telemetry'>,
  { clock, log, metrics, outward, stack, version }: Parts,
): Promise<Tracing | undefined> => {
  if (telemetry === undefined) return undefined
  const { otlpExporter } = await import('./lib/otlp.ts')
  const { createTracing } = await import('./lib/tracing.ts')
  const { endpoint, headers, sampleRatio, serviceName } = telemetry.traces
  // A client of its own: requests that carry spans are no spans.
  const outbound = createOutbound(outward)
  stack.defer(() => outbound.close())
  const stopped = new AbortController()
  const exporter = otlpExporter({
    endpoint,
    headers: () => Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, value.read()])),
    fetch: outbound.origin([new URL(endpoint).origin], limits),
    log,
    clock,
    signal: stopped.signal,
    count: (outcome, spans) => metrics.inc('trace_spans_total', { outcome }, spans),
  })
  const tracing = createTracing({ exporter, sampleRatio, serviceName, version, clock })
  stack.defer(async () => {
    const timer = setTimeout(() => stopped.abort(), lastMs)
    await tracing.close()
    clearTimeout(timer)
  })
  return tracing
}

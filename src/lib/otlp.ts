import { JsonTraceSerializer } from '@opentelemetry/otlp-transformer'
import type { SpanExporter } from '@opentelemetry/sdk-trace-base'
import type { PinnedFetch } from './outbound.ts'

export interface OtlpOptions {
  /** Of the collector, path included, e.g. `https://collector.example.com/v1/traces`. */
  readonly endpoint: string
  /** Read for every request: they hold secrets that rotate. */
  readonly headers: () => Readonly<Record<string, string>>
  readonly fetch: PinnedFetch
  readonly log: { warn(fields: object, text: string): void }
  readonly clock: { mono(): number }
  /** Ends what is being sent: nobody waits longer for a collector. */
  readonly signal: AbortSignal
  /** Told how many spans were taken by the collector, or lost. */
  readonly count: (outcome: 'sent' | 'lost', spans: number) => void
}

const quietMs = 60_000

/**
 * Sends spans as OTLP over HTTP in JSON (OpenTelemetry protocol 1.x), by the one client for outbound requests and so to
 * the configured origin alone. What the collector does not take is lost, counted, and said once a minute: nothing here
 * may hold anything else up.
 */
export const otlpExporter = ({ clock, count, endpoint, fetch, headers, log, signal }: OtlpOptions): SpanExporter => {
  const running = new Set<Promise<void>>()
  let saidAt = Number.NEGATIVE_INFINITY

  const send = async (body: Uint8Array | undefined): Promise<void> => {
    if (body === undefined) throw new Error('the spans cannot be written as OTLP')
    const init = {
      method: 'POST',
      headers: { ...headers(), 'content-type': 'application/json' },
      signal,
    }
    const { status } = await fetch(endpoint, { ...init, body: Uint8Array.from(body) })
    if (status < 200 || status > 299) throw new Error(`the collector answered ${status}`)
  }

  return {
    export: (spans, done) => {
      const sending = send(JsonTraceSerializer.serializeRequest(spans)).then(
        () => {
          count('sent', spans.length)
          done({ code: 0 })
        },
        (error: unknown) => {
          count('lost', spans.length)
          if (clock.mono() - saidAt >= quietMs) {
            saidAt = clock.mono()
            log.warn({ err: error, spans: spans.length }, 'traces not delivered')
          }
          done({ code: 1 })
        },
      )
      running.add(sending)
      void sending.finally(() => running.delete(sending))
    },
    forceFlush: async () => {
      await Promise.all(running)
    },
    shutdown: async () => {
      await Promise.all(running)
    },
  }
}

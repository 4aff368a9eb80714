import { AsyncLocalStorage } from 'node:async_hooks'
import {
  type Attributes,
  isSpanContextValid,
  type Link,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api'
import { resourceFromAttributes } from '@opentelemetry/resources'
import {
  BasicTracerProvider,
  BatchSpanProcessor,
  ParentBasedSampler,
  type SpanExporter,
  TraceIdRatioBasedSampler,
} from '@opentelemetry/sdk-trace-base'
import { codeOf } from '../core/errors.ts'
import type { Clock } from './clock.ts'

export type { Attributes } from '@opentelemetry/api'

export interface SpanOptions {
  /** A name without a dot is ours, and told with `bridge.` before it. */
  readonly attributes?: Attributes
  /** A request to another party. */
  readonly outward?: boolean
  /** What it is about: it follows from the spans that left something at these. */
  readonly about?: readonly string[]
}

/** Spans of OpenTelemetry. They carry ids, names, counts and codes; never a token, a reason or an address of a person. */
export interface Tracing {
  /** Runs the work as a span: below the present one, or after what was left at what it is about, or by itself. */
  span<T>(name: string, options: SpanOptions, work: () => Promise<T>): Promise<T>
  /** As `span`, but only below a present one. */
  within<T>(name: string, options: SpanOptions, work: () => Promise<T>): Promise<T>
  /** Something that took no time of its own. What is done about `at` soon after follows from it. */
  mark(name: string, attributes: Attributes, at: readonly string[]): void
  /** What is done about these soon after follows from the present span. */
  leave(at: readonly string[]): void
  /**
   * Runs a request of somebody else as a span, below theirs when its `traceparent` (W3C Trace Context) names one. Returns
   * what ends it, with the status.
   */
  serve(name: string, traceparent: unknown, attributes: Attributes, work: () => void): (status: number) => void
  /** Sends what is left. */
  close(): Promise<void>
}

export interface TracingOptions {
  readonly exporter: SpanExporter
  /** Share of traces that are recorded, 0 to 1. */
  readonly sampleRatio: number
  readonly serviceName: string
  readonly version: string
  readonly clock: Pick<Clock, 'mono'>
}

/** Work that begins later than this after its cause is not its consequence any more. */
const followMs = 600_000
const mostTrails = 10_000
const mostLinks = 32
const traceparentForm = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-|$)/

interface Trail {
  readonly from: SpanContext
  readonly at: number
}

export const createTracing = (options: TracingOptions): Tracing => {
  const { clock, exporter, sampleRatio, serviceName, version } = options
  const ratio = new TraceIdRatioBasedSampler(sampleRatio)
  const provider = new BasicTracerProvider({
    resource: resourceFromAttributes({ 'service.name': serviceName, 'service.version': version }),
    // Whoever asks does not decide how much is recorded here.
    sampler: new ParentBasedSampler({ root: ratio, remoteParentSampled: ratio, remoteParentNotSampled: ratio }),
    spanProcessors: [new BatchSpanProcessor(exporter)],
  })
  const tracer = provider.getTracer('idp-bridge', version)
  const present = new AsyncLocalStorage<Span>()
  const trails = new Map<string, Trail>()

  const leaveFrom = (from: SpanContext, names: readonly string[]): void => {
    const at = clock.mono()
    for (const name of names) {
      trails.delete(name)
      if (trails.size >= mostTrails) for (const oldest of trails.keys()) if (trails.delete(oldest)) break
      trails.set(name, { from, at })
    }
  }

  const followed = (names: readonly string[]): SpanContext[] => {
    const since = clock.mono() - followMs
    const found = new Map<string, SpanContext>()
    for (const name of names) {
      const trail = trails.get(name)
      if (trail !== undefined && trail.at >= since && found.size < mostLinks) found.set(trail.from.spanId, trail.from)
    }
    return [...found.values()]
  }

  const begin = (name: string, { about = [], attributes = {}, outward }: SpanOptions): Span => {
    const above = present.getStore()
    const [cause, ...others] = above === undefined ? followed(about) : []
    const parent = above?.spanContext() ?? cause
    const links: Link[] = others.map((context) => ({ context }))
    const kind = outward === true ? SpanKind.CLIENT : SpanKind.INTERNAL
    return tracer.startSpan(name, { attributes: named(attributes), kind, links }, under(parent))
  }

  const run = async <T>(span: Span, work: () => Promise<T>): Promise<T> => {
    try {
      return await present.run(span, work)
    } catch (error) {
      span.setAttribute('error.type', codeOf(error))
      span.setStatus({ code: SpanStatusCode.ERROR })
      throw error
    } finally {
      span.end()
    }
  }

  return {
    span: (name, about, work) => run(begin(name, about), work),
    within: (name, about, work) => (present.getStore() === undefined ? work() : run(begin(name, about), work)),
    mark: (name, attributes, at) => {
      const span = begin(name, { attributes, about: at })
      leaveFrom(span.spanContext(), at)
      span.end()
    },
    leave: (at) => {
      const span = present.getStore()
      if (span !== undefined) leaveFrom(span.spanContext(), at)
    },
    serve: (name, traceparent, attributes, work) => {
      const span = tracer.startSpan(
        name,
        { attributes: named(attributes), kind: SpanKind.SERVER },
        under(remote(traceparent)),
      )
      present.run(span, work)
      return (status) => {
        span.setAttribute('http.response.status_code', status)
        if (status >= 500) span.setStatus({ code: SpanStatusCode.ERROR })
        span.end()
      }
    },
    // What could not be sent was said, and counted, by the exporter.
    close: () => provider.shutdown().catch(() => undefined),
  }
}

const named = (attributes: Attributes): Attributes =>
  Object.fromEntries(
    Object.entries(attributes).map(([name, value]) => [name.includes('.') ? name : `bridge.${name}`, value]),
  )

const under = (parent: SpanContext | undefined) =>
  parent === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, parent)

/** https://www.w3.org/TR/trace-context/ section 3.2; undefined when it is none. */
const remote = (traceparent: unknown): SpanContext | undefined => {
  const [, traceId = '', spanId = '', flags = ''] =
    typeof traceparent === 'string' ? (traceparentForm.exec(traceparent) ?? []) : []
  const context = { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & 1, isRemote: true }
  return isSpanContextValid(context) ? context : undefined
}

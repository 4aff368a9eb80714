import { z } from 'zod'
import { BridgeError } from '../core/errors.ts'
import { type App, answers, type Context } from './context.ts'
import { explain } from './problem.ts'
import { time } from './views.ts'

const tags = ['health']

const readiness = z
  .object({
    ready: z.boolean(),
    checks: z.array(z.object({ name: z.string(), ok: z.boolean(), text: z.string() })),
  })
  .meta({ id: 'Readiness' })

const plain = (description: string, type: string) => ({ description, content: { [type]: { schema: z.string() } } })

/** Whether the process answers. No token is asked. */
export const aliveRoute = (app: App, { clock, version }: Pick<Context, 'clock' | 'version'>): void => {
  app.route({
    method: 'GET',
    url: '/healthz',
    config: { access: 'public', quiet: true, unlimited: true },
    schema: {
      operationId: 'getHealth',
      summary: 'Alive: the process answers',
      tags,
      response: {
        200: answers('It does', z.object({ status: z.literal('ok'), version: z.string(), time: z.string() })),
      },
    },
    handler: async () => ({ status: 'ok' as const, version, time: time(clock.now()) }),
  })
}

/** Ready, and metrics. No token is asked. */
export const stateRoutes = (
  app: App,
  { bridge, metrics, requestMetrics }: Pick<Context, 'bridge' | 'metrics' | 'requestMetrics'>,
): void => {
  app.route({
    method: 'GET',
    url: '/readyz',
    config: { access: 'public', quiet: true, unlimited: true },
    schema: {
      operationId: 'getReadiness',
      summary: 'Able to decide',
      tags,
      response: { 200: answers('It is', readiness), 503: answers('It is not, and why', readiness) },
    },
    handler: async (_request, reply) => {
      const { ready, checks } = await bridge.ready()
      reply.code(ready ? 200 : 503)
      return { ready, checks: checks.map(({ name, ok, text }) => ({ name, ok, text })) }
    },
  })

  app.route({
    method: 'GET',
    url: '/metrics',
    config: { access: 'public', unlimited: true },
    schema: {
      operationId: 'getMetrics',
      summary: 'Prometheus exposition',
      tags,
      response: { 200: plain('Every metric', 'text/plain') },
    },
    handler: async (_request, reply) => {
      reply.header('content-type', metrics.contentType)
      return `${await metrics.text()}\n${await requestMetrics()}`
    },
  })
}

/** The pages behind problem types. No token is asked. */
export const errorRoute = (app: App): void => {
  app.route({
    method: 'GET',
    url: '/errors/:code',
    config: { access: 'public', errors: ['E_NOT_FOUND'] },
    schema: {
      operationId: 'explainError',
      summary: 'What the type of a problem document means',
      tags,
      params: z.strictObject({ code: z.string().min(1).max(64) }),
      response: { 200: plain('A short explanation', 'text/plain') },
    },
    handler: async (request, reply) => {
      const text = explain(request.params.code)
      if (text === undefined) throw new BridgeError('E_NOT_FOUND', 'There is no such error code.')
      reply.header('content-type', 'text/plain; charset=utf-8')
      return text
    },
  })
}

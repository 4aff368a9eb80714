import { z } from 'zod'
import { roles } from '../core/roles.ts'
import { clientOf } from './auth.ts'
import { type App, answers } from './context.ts'

const client = z
  .object({
    name: z.string().describe('Actor in the audit log; the second part of the origin of its holds'),
    roles: z.array(z.enum(roles)),
    agents: z
      .object({ labels: z.record(z.string(), z.string()) })
      .nullable()
      .describe('The agents a runtime is bounded to; null: all of them'),
  })
  .meta({ id: 'Client', examples: [{ name: 'agt-1', roles: ['runtime'], agents: { labels: { unit: 'payments' } } }] })

/** Tells a client how the configuration names it. */
export const whoamiRoute = (app: App): void => {
  app.route({
    method: 'GET',
    url: '/v1/whoami',
    config: { access: roles },
    schema: {
      operationId: 'whoami',
      summary: 'Whose token this is',
      tags: ['operation'],
      response: { 200: answers('The client', client) },
    },
    handler: async (request) => {
      const { name, roles, labels } = clientOf(request)
      return { name, roles: [...roles], agents: labels === undefined ? null : { labels: { ...labels } } }
    },
  })
}

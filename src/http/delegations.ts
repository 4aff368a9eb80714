import { type App, answers, type Context } from './context.ts'
import { chainSchema } from './delegationschemas.ts'
import { agentPath } from './shapes.ts'
import { hopBody } from './views.ts'

/** The delegation chain of an agent. */
export const delegationRoutes = (app: App, { bridge }: Context): void => {
  app.route({
    method: 'GET',
    url: '/v1/agents/:did/delegation',
    config: { access: ['reader'], errors: ['E_DID', 'E_AGENT_UNKNOWN'] },
    schema: {
      operationId: 'getDelegation',
      summary: "Read an agent's delegation chain",
      description: 'What each parent granted, and what is left of it now, from the root to the agent.',
      tags: ['agents'],
      params: agentPath,
      response: { 200: answers('The chain', chainSchema) },
    },
    handler: async (request) => ({ items: (await bridge.delegation(request.params.did)).map(hopBody) }),
  })
}

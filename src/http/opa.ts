import type { FastifyReply } from 'fastify'
import { z } from 'zod'
import { isDid } from '../core/did.ts'
import type { DecisionInput } from '../engine/api.ts'
import type { Access } from './auth.ts'
import { type App, answers } from './context.ts'
import { type Ask, answerOnce, asker, type FaceContext } from './faces.ts'
import { didNames, isMembers, type Members } from './killbody.ts'
import { exampleDid } from './shapes.ts'

/** The packages that AGT's backends ask for unless told otherwise. */
const packages = [
  { name: 'agentmesh', operationId: 'allow' },
  { name: 'agentgovernance', operationId: 'allowAsGovernance' },
] as const

const MAX_DIDS = 4

const query = z.looseObject({ input: z.unknown().optional() }).meta({
  id: 'PolicyQuery',
  description:
    'The agent under any name that an AGT backend gives it; `capability`, or an `action` of that form, is asked as well, ' +
    'and so is `tool` with `server` and `params`',
  examples: [{ input: { agentDid: exampleDid, action: 'read:reports' } }],
})

const result = z.object({ result: z.boolean() }).meta({ id: 'PolicyResult', examples: [{ result: false }] })

/**
 * Every DID that an input names. What is no DID beside one (a plain name, a session) names nobody; what is one that cannot
 * be an agent's is another all the same.
 */
const didsOf = (input: Members): Set<string> => {
  const dids = new Set<string>()
  for (const name of didNames) {
    const value = input[name]
    // Some write the agent as an object of its own.
    const named = name === 'agent' && isMembers(value) ? [value.id, ...didNames.map((inner) => value[inner])] : [value]
    for (const did of named) if (typeof did === 'string' && did.startsWith('did:')) dids.add(did)
  }
  return dids
}

/**
 * What is to be allowed, if anything but to act at all. AGT's own actions (`tool.send`, `policy.evaluate`) are no
 * capabilities and ask for none. Null: something is asked that nobody can hold.
 */
const capabilityOf = ({ action, capability }: Members): string | undefined | null => {
  if (capability !== undefined && capability !== null) {
    return typeof capability === 'string' && capability !== '' ? capability : null
  }
  return typeof action === 'string' && action.includes(':') ? action : undefined
}

/** What AGT's backends and gateways call a tool, its server and what it is called with, in their languages' spellings. */
const callNames = {
  tool: ['tool', 'tool_name', 'toolName', 'ToolName'],
  server: ['server', 'server_name', 'serverName', 'ServerName', 'mcp_server', 'mcpServer'],
  resource: ['resource'],
  parameters: ['params', 'parameters', 'arguments', 'args'],
} as const

/** The one value that an input has under any of these names; null: several, which nobody can tell apart. */
const oneOf = (input: Members, names: readonly string[]): unknown => {
  const given = names.flatMap((name) => (Object.hasOwn(input, name) ? [input[name]] : [])).filter((one) => one !== null)
  return given.length > 1 && given.some((one) => one !== given[0]) ? null : given[0]
}

/**
 * The call that an input tells of. An input without a tool asks for none, whatever else it has: all of these are ordinary
 * words. Null: nonsense.
 */
const callOf = (input: Members): DecisionInput | null => {
  const tool = oneOf(input, callNames.tool)
  if (tool === undefined) return {}
  const server = oneOf(input, callNames.server)
  const resource = oneOf(input, callNames.resource)
  const parameters = oneOf(input, callNames.parameters)
  if (
    typeof tool !== 'string' ||
    (server !== undefined && typeof server !== 'string') ||
    resource === null ||
    parameters === null
  )
    return null
  return {
    tool,
    server,
    resource,
    parameters,
  }
}

/** Input that names nobody, several agents, or nonsense is answered false: every backend takes that for a denial. */
const allowed = async (ask: Ask, input: unknown, reply: FastifyReply): Promise<boolean> => {
  const members = isMembers(input) ? input : {}
  const dids = didsOf(members)
  const capability = capabilityOf(members)
  const call = callOf(members)
  if (dids.size === 0 || dids.size > MAX_DIDS || ![...dids].every(isDid) || capability === null || call === null) {
    return (await ask({ nobody: true }, reply)).allow
  }
  const agents = new Set<string | undefined>()
  for (const did of dids) {
    const view = await ask({ did, capability, ...call }, reply)
    if (!view.allow) return false
    agents.add(view.did)
  }
  return agents.size === 1
}

/**
 * The Data API of a policy agent, as far as AGT's backends use it: a bare boolean, for a word or an object in `result` is
 * a "yes" to two of them. A failure is an error status, which all of them take for a denial.
 */
export const opaRoutes = (app: App, context: FaceContext, access: Access): void => {
  const ask = asker(context, 'opa')
  for (const { name, operationId } of packages) {
    app.route({
      method: 'POST',
      url: `/v1/data/${name}/allow`,
      config: { access, uniqueNames: true, quiet: true },
      schema: {
        operationId,
        summary: 'May this agent act? A bare boolean, for policy backends',
        tags: ['decisions'],
        body: query,
        response: { 200: answers('True only if it may', result) },
      },
      handler: async (request, reply) =>
        answerOnce(context, request, async () => ({ result: await allowed(ask, request.body.input, reply) })),
    })
  }
}

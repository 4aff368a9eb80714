import type { FastifyRequest } from 'fastify'
import { z } from 'zod'
import { BridgeError } from '../core/errors.ts'
import type { KillSelector } from '../core/masskill.ts'
import type { Bridge } from '../engine/api.ts'
import {
  type KillPage,
  type KillProgress,
  type KillTargets,
  type MassKillInput,
  maxTargets,
} from '../engine/killapi.ts'
import { callerOf } from './auth.ts'
import { type App, answers, type Context } from './context.ts'
import type { Answer, Work } from './idempotency.ts'
import { didNames, isMembers, type Members, parseReport, refuse } from './killbody.ts'
import { limit } from './shapes.ts'
import { receiptPath, time } from './views.ts'

const listNames = ['agentIds', 'agent_ids', 'AgentIds']
const selectorName = 'selector'
const dryNames = ['dryRun', 'dry_run', 'DryRun']
const MAX_SELECTED = 512
const MAX_FAULTS = 20
const members = ['sponsor', 'blueprint', 'parent', 'adapter'] as const

export interface MassKillBody {
  readonly input: MassKillInput
  readonly dryRun: boolean
}

const isGiven = (body: Members, name: string): boolean => body[name] !== undefined && body[name] !== null

const listOf = (name: string, value: unknown): readonly string[] => {
  if (!Array.isArray(value) || value.length === 0) {
    throw refuse(`/${name}`, 'invalid_type', 'A list of DIDs, one at least.')
  }
  if (value.length > maxTargets) throw refuse(`/${name}`, 'too_big', `At most ${maxTargets} DIDs; send several kills.`)
  const dids: string[] = []
  const wrong: { pointer: string; code: string }[] = []
  for (const [at, did] of value.entries()) {
    if (typeof did === 'string') dids.push(did)
    else if (wrong.length < MAX_FAULTS) wrong.push({ pointer: `/${name}/${at}`, code: 'invalid_type' })
  }
  const [first] = wrong
  if (first !== undefined) throw refuse(first.pointer, first.code, 'Every DID is a string; nothing was held.')
  return dids
}

const selectorOf = (value: unknown): KillSelector => {
  if (!isMembers(value)) throw refuse('/selector', 'invalid_type', `An object with ${members.join(', ')}.`)
  const unknown = Object.keys(value).find((name) => !members.some((known) => known === name))
  if (unknown !== undefined) {
    // Left out, it would hold more agents than were meant.
    throw refuse(`/selector/${unknown}`, 'unrecognized_keys', `A selector has only ${members.join(', ')}.`)
  }
  const selector: Partial<Record<(typeof members)[number], string>> = {}
  for (const name of members) {
    const one = value[name]
    if (one === undefined) continue
    if (typeof one !== 'string' || one === '' || one.length > MAX_SELECTED) {
      throw refuse(`/selector/${name}`, 'invalid_type', 'A text that is not empty.')
    }
    selector[name] = one
  }
  if (Object.keys(selector).length === 0) {
    throw refuse('/selector', 'required', `Give one of ${members.join(', ')}: an empty selector is not everyone.`)
  }
  return selector
}

/**
 * A kill of many agents: a list or a selector, with the reason in any vocabulary. Undefined: it names no such targets.
 * @throws BridgeError E_VALIDATION
 */
export const parseKillMany = (body: Members): MassKillBody | undefined => {
  const list = listNames.find((name) => isGiven(body, name))
  const selected = isGiven(body, selectorName)
  if (list === undefined && !selected) return undefined
  const targeting = [...didNames, 'scope', 'Scope', ...listNames, selectorName].filter((name) => isGiven(body, name))
  if (targeting.length > 1) {
    throw refuse(`/${targeting[1]}`, 'conflict', `Give one of ${targeting.join(', ')}.`)
  }
  const dry = dryNames.find((name) => isGiven(body, name))
  const dryRun = dry === undefined ? false : body[dry]
  if (typeof dryRun !== 'boolean') throw refuse(`/${dry}`, 'invalid_type', 'true or false.')
  const targets: KillTargets =
    list === undefined ? { selector: selectorOf(body[selectorName]) } : { dids: listOf(list, body[list]) }
  const { inResponseTo, ...report } = parseReport(body, [...listNames, selectorName, ...dryNames])
  if (inResponseTo !== undefined) {
    throw refuse('/inResponseTo', 'conflict', 'One hold is answered by a kill of its one agent.')
  }
  return { input: { targets, ...report }, dryRun }
}

const stamp = z.string().meta({ format: 'date-time' })
const count = z.int().min(0)
const selectorSchema = z.object({
  sponsor: z.string().optional(),
  blueprint: z.string().optional(),
  parent: z.string().optional(),
  adapter: z.string().optional(),
})
export const progressSchema = z
  .object({
    killId: z.string(),
    at: stamp,
    actor: z.string(),
    reason: z.string(),
    selector: selectorSchema.nullable(),
    agents: count.describe('Its targets'),
    placed: count.describe('Those that have their hold'),
    released: count.describe('Holds of it that were released since'),
    accounts: z
      .object({
        total: count,
        off: count,
        pending: count,
        failed: count.describe('Still retried'),
        shared: count.describe('Left on, for another of their DIDs is not held'),
        unsupported: count.describe('In directories that are not written'),
      })
      .describe('Of the targets that it still holds; descendants are not counted'),
  })
  .meta({ id: 'KillProgress' })

const target = z.object({
  did: z.string(),
  holdId: z.string(),
  known: z.boolean().describe('False: not registered yet; the hold applies at registration'),
  released: z.boolean(),
  receipt: z.string(),
})
export const killPageSchema = progressSchema
  .extend({ items: z.array(target), nextCursor: z.string().nullable().describe('For GET /v1/kills/{killId}') })
  .meta({ id: 'KillOfMany' })
export const previewSchema = z
  .object({
    dryRun: z.literal(true),
    agents: count,
    items: z.array(z.object({ did: z.string(), known: z.boolean() })).describe('All of them'),
  })
  .meta({ id: 'KillPreview' })

export const progressBody = (kill: KillProgress): z.output<typeof progressSchema> => {
  const { id, at, actor, reason, selector, agents, placed, released, accounts } = kill
  return {
    killId: id,
    at: time(at),
    actor,
    reason,
    selector: selector === undefined ? null : { ...selector },
    agents,
    placed,
    released,
    accounts: { ...accounts },
  }
}

const pageBody = ({ kill, items, nextCursor }: KillPage): z.output<typeof killPageSchema> => ({
  ...progressBody(kill),
  items: items.map(({ did, holdId, known, released }) => ({
    did,
    holdId,
    known,
    released,
    receipt: receiptPath(did, holdId),
  })),
  nextCursor,
})

const firstPage = 100

type ManyBody = z.output<typeof killPageSchema> | z.output<typeof previewSchema>

/** The work of one such request, for `Idempotency-Key`: its reference is the kill's id. */
export const killingMany = (
  bridge: Bridge,
  { input, dryRun }: MassKillBody,
  request: FastifyRequest,
): Work<ManyBody, string> => {
  const caller = callerOf(request)
  return {
    run: async (keep) => {
      if (dryRun) return { ...(await preview(bridge, input.targets, request)), ref: '' }
      return { status: 202, body: pageBody(await bridge.killMany(input, firstPage, caller, keep)) }
    },
    kept: (id) => ({ status: 202, ref: id }),
    repeat: async (ref, status) => {
      if (ref === '') return preview(bridge, input.targets, request)
      const page = await bridge.killedAgain(ref, firstPage, caller)
      if (page.kill.released < page.kill.agents) return { status, body: pageBody(page) }
      throw new BridgeError('E_IDEMPOTENCY_RELEASED', 'Every hold placed under this key was released since.', {
        hint: 'Use a new Idempotency-Key to place others.',
      })
    },
  }
}

const preview = async (bridge: Bridge, targets: KillTargets, request: FastifyRequest): Promise<Answer<ManyBody>> => {
  const items = await bridge.previewKill(targets, callerOf(request))
  return { status: 200, body: { dryRun: true, agents: items.length, items } }
}

/** `GET /v1/kills/{killId}`: how far a kill of many is, and its targets page by page. */
export const killProgressRoute = (app: App, { bridge }: Context): void => {
  app.route({
    method: 'GET',
    url: '/v1/kills/:killId',
    config: { access: ['reader', 'runtime'], errors: ['E_NOT_FOUND'] },
    schema: {
      operationId: 'getKill',
      summary: 'A kill of many agents: how far it is, and its targets',
      tags: ['holds'],
      params: z.strictObject({ killId: z.string().min(1).max(200) }),
      querystring: z.strictObject({ cursor: z.string().max(20).optional(), limit }),
      response: { 200: answers('Progress, and targets in the order they were given', killPageSchema) },
    },
    handler: async (request) => {
      const { cursor, limit: most } = request.query
      return pageBody(await bridge.killed(request.params.killId, cursor, most, callerOf(request)))
    },
  })
}

import { z } from 'zod'
import { groupId, type Kind, kindOfId } from './ids.ts'

const id = z.string().min(1).max(128).optional().catch(undefined)
const text = z.string().optional().catch(undefined)

/**
 * One event as the System Log keeps it and as event hooks carry it: the same `uuid` in both (System Log API, read
 * 2026-11). Ids are all that is believed; everything but `uuid`, `published` and `eventType` may be missing.
 */
export const systemEvent = z.object({
  uuid: z.string().min(1).max(128),
  published: z.iso.datetime({ offset: true }).transform((time) => Date.parse(time)),
  eventType: z.string().min(1).max(256),
  outcome: z.object({ result: text }).nullish().catch(undefined),
  actor: z.object({ id, type: text, displayName: text }).nullish().catch(undefined),
  target: z
    .array(z.object({ id }).catch({ id: undefined }))
    .nullish()
    .catch(undefined),
  transaction: z
    .object({
      id: text,
      detail: z.object({ requestApiTokenId: id }).nullish().catch(undefined),
    })
    .nullish()
    .catch(undefined),
})
export type SystemEvent = z.output<typeof systemEvent>

/** Everything but an outright success is an attempt: nothing changed (LogOutcome, read 2026-11). */
export const succeeded = ({ outcome }: SystemEvent): boolean => outcome?.result === 'SUCCESS'

const targetsOf = ({ target }: SystemEvent): readonly string[] => [
  ...new Set(target?.flatMap(({ id }) => (id === undefined ? [] : [id]))),
]

/**
 * Accounts of these kinds that it is about. Targets come in any order, and what their types are called for AI agents is
 * not documented: the first letters of an id tell.
 */
export const accountsOf = (event: SystemEvent, kinds: ReadonlySet<Kind>): readonly string[] =>
  targetsOf(event).filter((id) => {
    const kind = kindOfId(id)
    return kind !== undefined && kinds.has(kind)
  })

export const groupsOf = (event: SystemEvent): readonly string[] => targetsOf(event).filter((id) => groupId.test(id))

/**
 * Events that turn an account off or on, by kind of account. AI agents have two generations of names, of which an org may
 * write either or both (event types, read 2026-11).
 */
export const switchTypes: Readonly<Record<Kind, Readonly<Record<string, 'disable' | 'enable'>>>> = {
  user: {
    'user.lifecycle.suspend': 'disable',
    'user.lifecycle.unsuspend': 'enable',
    'user.lifecycle.deactivate': 'disable',
    'user.lifecycle.activate': 'enable',
  },
  serviceApp: {
    'application.lifecycle.deactivate': 'disable',
    'application.lifecycle.activate': 'enable',
  },
  aiAgent: {
    'workload_principal.ai_agent.deactivate': 'disable',
    'workload_principal.ai_agent.activate': 'enable',
    'workload_principal.deactivate': 'disable',
    'workload_principal.activate': 'enable',
  },
}

const lifecycle = ['create', 'reactivate', 'delete.initiated', 'delete.completed']
const account = ['lock', 'unlock', 'unlock_by_admin', 'reset_password', 'expire_password', 'update_password']
const otherTypes: Readonly<Record<Kind, readonly string[]>> = {
  user: [
    ...lifecycle.map((name) => `user.lifecycle.${name}`),
    // Each of these moves a user between ACTIVE and LOCKED_OUT, PASSWORD_EXPIRED or RECOVERY.
    ...account.map((name) => `user.account.${name}`),
  ],
  serviceApp: ['create', 'update', 'delete'].map((name) => `application.lifecycle.${name}`),
  aiAgent: ['register', 'update', 'delete'].flatMap((name) => [
    `workload_principal.ai_agent.${name}`,
    `workload_principal.${name}`,
  ]),
}

/** Events after which an account of these kinds may be in another state. */
export const changeTypesOf = (kinds: readonly Kind[]): readonly string[] =>
  kinds.flatMap((kind) => [...Object.keys(switchTypes[kind]), ...otherTypes[kind]])

/** Events that turn accounts of these kinds off or on. */
export const switchTypesOf = (kinds: readonly Kind[]): readonly string[] =>
  kinds.flatMap((kind) => Object.keys(switchTypes[kind]))

import type { JudgedPolicy } from '../core/judging.ts'
import { digestOf } from '../lib/digest.ts'
import type { DecisionInput, DecisionView } from './api.ts'
import type { Deps } from './deps.ts'

/** Whether a token is now what it was when it was verified. */
export type InForce = (now: number) => boolean

/** An allowing decision and all that it stands on. */
interface Standing {
  readonly view: DecisionView
  readonly count: number
  readonly policy: JudgedPolicy
  readonly from: number
  readonly until: number
  readonly inForce: InForce
}

/** Where a decision begins: what may not have changed until it is made, for it to be remembered. */
export interface Begun {
  readonly key: string | undefined
  readonly count: number
  readonly policy: JudgedPolicy
  readonly from: number
}

interface StandingDeps {
  readonly policy: () => JudgedPolicy
  readonly store: Pick<Deps['store'], 'changes'>
}

export interface Standings {
  /** The decision on the same question, if nothing that it stands on has changed; or where to begin. */
  find(input: DecisionInput, now: number): DecisionView | Begun
  /**
   * @param until past which time alone may change it, in ms
   * @param inForce whether the token is what it was: keys, configuration and `exp`
   */
  keep(begun: Begun, view: DecisionView, until: number, inForce: InForce): void
}

const maxTokenLength = 16 * 1024
/** Of all of a question but its token. */
const maxTextLength = 1024

/**
 * Allowing decisions, by digest of their token: no token is kept. One stands until any commit of the store, a reload, a
 * change of the issuer's keys, or its time. Any commit at all: it need not be known here what a decision reads. After one
 * it is made anew, of what is known still (known.ts), without verifying the token again (verify.ts).
 */
export const createStandings = (deps: StandingDeps, most = 20_000): Standings => {
  const { changes } = deps.store
  const kept = new Map<string, Standing>()
  return {
    find: (input, now) => {
      const key = keyOf(input)
      const { count } = changes
      const policy = deps.policy()
      const known = key === undefined ? undefined : kept.get(key)
      // A clock that was set back may be before what was checked against it.
      const stands = known?.count === count && known.policy === policy && now >= known.from && now < known.until
      return stands && known.inForce(now) ? known.view : { key, count, policy, from: now }
    },
    keep: ({ key, count, policy, from }, view, until, inForce) => {
      if (key === undefined || !view.allow || changes.count !== count || deps.policy() !== policy) return
      if (!kept.delete(key) && kept.size >= most) for (const oldest of kept.keys()) if (kept.delete(oldest)) break
      kept.set(key, { view, count, policy, from, until, inForce })
    },
  }
}

/** What a tool is called on and with is not among them: one more for every thing, and not seen again. */
const known: ReadonlySet<string> = new Set<keyof DecisionInput>([
  'token',
  'did',
  'principal',
  'capability',
  'scope',
  'tool',
  'server',
  'describe',
])

/** The whole question, token by digest; undefined for one that is not made of short texts alone, or has a member not known here. */
const keyOf = (input: DecisionInput): string | undefined => {
  for (const name in input) if (!known.has(name) && Reflect.get(input, name) !== undefined) return undefined
  const { token, did, principal, capability, scope, tool, server, describe } = input
  if (token !== undefined && token.length > maxTokenLength) return undefined
  const digest = token === undefined ? '' : digestOf(token)
  let rest = describe === true ? 'describe ' : ''
  if (did !== undefined) rest += part('did', did)
  if (principal !== undefined) rest += part('adapter', principal.adapter) + part('id', principal.id)
  if (capability !== undefined) rest += part('capability', capability)
  if (scope !== undefined) rest += part('scope', scope)
  if (tool !== undefined) rest += part('tool', tool)
  if (server !== undefined) rest += part('server', server)
  if (rest.length > maxTextLength) return undefined
  // A text that was joined is put together at each look-up.
  return rest === '' ? digest : digest + rest
}

const part = (name: string, value: string): string => `${name} ${value.length} ${value} `

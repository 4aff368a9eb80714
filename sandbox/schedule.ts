import { setTimeout as delay } from 'node:timers/promises'
import type { Fault, Match } from './faults.ts'
import { seeded } from './random.ts'

/**
 * Where a fault of a schedule strikes. `writes` are single changes as they are carried, in a batch perhaps; `carriers` the
 * requests that have a connection and bring them; `reads` and `lists` what their names say; `any` every request.
 */
export type Place = 'any' | 'lists' | 'reads' | 'writes' | 'carriers'

/** Faults that are not about one answer. A tenant lists those it can play. */
export type Disturbance =
  | 'refused'
  | 'token-endpoint-down'
  | 'keys-down'
  | 'clock-ahead'
  | 'clock-behind'
  | 'hooks-duplicated'
  | 'hooks-reordered'
  | 'hooks-dropped'

/** What a tenant offers so that any schedule can be played on it. */
export interface Playable {
  readonly places: Readonly<Record<Place, Match>>
  readonly disturbances: readonly Disturbance[]
  fail(match: Match, fault: Fault): () => void
  /** Starts one; resolves to what ends it. */
  disturb(what: Disturbance): Promise<() => Promise<void>>
}

/** One fault: from `at` on, for `forMs`, on that share of what matches. All of it is JSON. */
export interface Step {
  readonly at: number
  readonly forMs: number
  readonly fault: string
  /** Undefined for a disturbance, which concerns the tenant as a whole. */
  readonly match: Place | undefined
  readonly share: number
  readonly answer: Fault | undefined
}

interface Recipe {
  readonly match: Place
  /** At most that share: a directory that never answers teaches nothing. */
  readonly share: number
  readonly answer: Fault
}

/** Every fault of the wire by its name. `staleMs`: at most so far behind the replica of a stale read is. */
export const wireFaults = (staleMs: number): Readonly<Record<string, Recipe>> => ({
  'reset-before': { match: 'any', share: 0.5, answer: { mode: 'reset' } },
  'reset-after': { match: 'carriers', share: 0.5, answer: { mode: 'reset-after-body' } },
  hang: { match: 'any', share: 0.1, answer: { mode: 'hang' } },
  'hang-after': { match: 'carriers', share: 0.1, answer: { mode: 'hang-after-body' } },
  drip: { match: 'any', share: 0.3, answer: { mode: 'drip', everyMs: 1 } },
  'truncated-page': { match: 'any', share: 0.5, answer: { mode: 'truncate' } },
  'throttled-with-retry-after': { match: 'any', share: 0.7, answer: { status: 429, headers: { 'Retry-After': '2' } } },
  'throttled-without': { match: 'any', share: 0.7, answer: { status: 429 } },
  'status-500': { match: 'any', share: 0.7, answer: { status: 500 } },
  'status-502': { match: 'any', share: 0.7, answer: { status: 502 } },
  'status-503': { match: 'any', share: 0.7, answer: { status: 503 } },
  'status-504': { match: 'any', share: 0.7, answer: { status: 504 } },
  'empty-list': { match: 'lists', share: 0.7, answer: { altered: 'empty' } },
  'repeated-page': { match: 'lists', share: 0.5, answer: { altered: 'repeated' } },
  'looping-link': { match: 'lists', share: 0.7, answer: { altered: 'looping' } },
  'stale-read': { match: 'reads', share: 0.7, answer: { altered: 'stale', byMs: staleMs } },
  'applied-but-504': { match: 'writes', share: 0.7, answer: { status: 504, applied: true } },
  'late-write': { match: 'writes', share: 0.7, answer: { status: 504, appliedAfterMs: 3000 } },
})

export interface PlanOptions {
  readonly seed: number
  readonly minutes: number
  readonly disturbances: readonly Disturbance[]
  /** Faults that are left out. */
  readonly without?: readonly string[]
  /** From one fault to the next, on average. */
  readonly everyMs: number
  /** How long a fault lasts at most. */
  readonly longestMs: number
  readonly staleMs: number
}

/** A random schedule, the same for the same options. Every kind comes once before any comes again. */
export function plan(options: PlanOptions): Step[] {
  const { disturbances, everyMs, longestMs, minutes, seed, staleMs, without = [] } = options
  const random = seeded(seed)
  const wire = wireFaults(staleMs)
  const kinds = [...Object.keys(wire), ...disturbances].filter((kind) => !without.includes(kind))
  const steps: Step[] = []
  let deck: string[] = []
  for (let at = everyMs * random(); at < minutes * 60_000; at += 2 * everyMs * random()) {
    if (deck.length === 0) deck = shuffled(kinds, random)
    const fault = deck.pop() ?? 'hang'
    const recipe = Object.hasOwn(wire, fault) ? wire[fault] : undefined
    steps.push({
      at: Math.round(at),
      forMs: Math.round(longestMs * (0.2 + 0.8 * random())),
      fault,
      match: recipe?.match,
      share: recipe === undefined ? 1 : Number((recipe.share * (0.3 + 0.7 * random())).toFixed(2)),
      answer: recipe?.answer,
    })
  }
  return steps
}

function shuffled<T>(list: readonly T[], random: () => number): T[] {
  const left = [...list]
  const mixed: T[] = []
  while (left.length > 0) mixed.push(...left.splice(Math.floor(random() * left.length), 1))
  return mixed
}

/** Plays a schedule to its end, or until aborted; every fault is lifted when it resolves. */
export async function play(
  steps: readonly Step[],
  tenant: Playable,
  { signal, begun }: { signal: AbortSignal; begun?: (step: Step) => void },
): Promise<void> {
  const one = async (step: Step): Promise<void> => {
    if (!(await slept(step.at, signal))) return
    const lift = await begin(step, tenant)
    begun?.(step)
    await slept(step.forMs, signal)
    await lift()
  }
  await Promise.all(steps.map(one))
}

async function begin(step: Step, tenant: Playable): Promise<() => void | Promise<void>> {
  const { answer, match, share } = step
  if (answer !== undefined && match !== undefined) {
    return tenant.fail(tenant.places[match], { ...answer, share, times: Number.POSITIVE_INFINITY })
  }
  const what = tenant.disturbances.find((each) => each === step.fault)
  if (what === undefined) throw new Error(`this tenant cannot play ${step.fault}`)
  return tenant.disturb(what)
}

/** False when aborted meanwhile. */
async function slept(ms: number, signal: AbortSignal): Promise<boolean> {
  try {
    await delay(ms, undefined, { signal })
    return true
  } catch (error) {
    if (signal.aborted) return false
    throw error
  }
}

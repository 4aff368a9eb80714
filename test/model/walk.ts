import { createActions } from './actions.ts'
import type { Core } from './core.ts'
import { createCodec } from './encode.ts'
import { Violation } from './glue.ts'
import { createInvariants } from './invariants.ts'
import { type Config, initial, type State } from './state.ts'

const mostSteps = 60

/** Numbers from 0 to 1 that a seed repeats. */
const diceOf = (seed: number) => {
  let last = seed
  return (): number => {
    last = (Math.imul(last, 1_664_525) + 1_013_904_223) >>> 0
    return last / 2 ** 32
  }
}

/**
 * Whether the search may forget what it forgets: compares, without forgetting anything, what can follow a state, and how
 * it ends, with what can follow the state that its bytes are read back as.
 */
const createCompare = (core: Core, config: Config) => {
  const actions = createActions(core, config)
  const codec = createCodec(core, config)
  const bytesOf = (state: State) => Buffer.from(codec.encode(state)).toString('latin1')

  const following = (state: State) => {
    const all: { what: string; state: State }[] = []
    const next = new Map<string, string>()
    let broken = ''
    try {
      actions.successors(state, (what, to) => {
        all.push({ what, state: to })
        next.set(bytesOf(to), what)
      })
    } catch (error) {
      if (!(error instanceof Violation)) throw error
      broken = error.message
    }
    return { all, next, broken }
  }

  const endOf = (state: State): string => {
    try {
      createInvariants(actions, codec).quiet(state)
      return 'well'
    } catch (error) {
      if (!(error instanceof Violation)) throw error
      return error.message
    }
  }

  /** What can follow, and the first difference, if there is one. */
  const compare = (state: State, ends: boolean): { all: { what: string; state: State }[]; difference?: string } => {
    const real = following(state)
    const { all } = real
    const bytes = bytesOf(state)
    const short = codec.decode(Buffer.from(bytes, 'latin1'))
    if (bytesOf(short) !== bytes) return { all, difference: 'read back, it has other bytes' }
    const read = following(short)
    if (read.broken !== real.broken) return { all, difference: `"${real.broken}" or "${read.broken}"` }
    for (const [key, what] of real.next) if (!read.next.has(key)) return { all, difference: `lost: ${what}` }
    for (const [key, what] of read.next) if (!real.next.has(key)) return { all, difference: `new: ${what}` }
    if (!ends) return { all }
    const [one, other] = [endOf(state), endOf(short)]
    return one === other ? { all } : { all, difference: `it ends "${one}" or "${other}"` }
  }
  return compare
}

/** Plays at random; returns the first difference, with the way to it. */
export const walk = (core: Core, config: Config, seed: number, states: number): string | undefined => {
  const compare = createCompare(core, config)
  const dice = diceOf(seed)
  for (let left = states; left > 0; ) {
    let state = initial(config, core.freshAccount)
    const way: string[] = []
    for (let step = 0; step < mostSteps && left > 0; step++, left--) {
      const { all, difference } = compare(state, dice() < 0.2)
      if (difference !== undefined) return [config.name, ...way, `=> ${difference}`].join('\n')
      const one = all[Math.floor(dice() * all.length)]
      if (one === undefined) break
      way.push(one.what)
      state = one.state
    }
  }
  return undefined
}

/** Plays one way, each step named by the begin of what happens. */
export const follow = (core: Core, config: Config, way: readonly string[]): string | undefined => {
  const compare = createCompare(core, config)
  let state = initial(config, core.freshAccount)
  for (const wanted of [...way, undefined]) {
    const { all, difference } = compare(state, true)
    if (difference !== undefined) return `before ${wanted}: ${difference}`
    if (wanted === undefined) break
    const one = all.find(({ what }) => what.startsWith(wanted))
    if (one === undefined) return `cannot follow: ${wanted}`
    state = one.state
  }
  return undefined
}

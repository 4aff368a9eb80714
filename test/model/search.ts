import { createActions } from './actions.ts'
import type { Core } from './core.ts'
import { createCodec } from './encode.ts'
import { Violation } from './glue.ts'
import { createRows, createVisited, hashOf } from './hash.ts'
import { createInvariants } from './invariants.ts'
import { type Config, initial, type State, spendings } from './state.ts'

export interface Found {
  /** The rule that was broken. */
  readonly what: string
  /** What happened, in order: the shortest way there. */
  readonly trace: readonly string[]
}

export interface Result {
  readonly config: string
  readonly states: number
  /** States, whatever was left to spend in them. */
  readonly distinct: number
  readonly transitions: number
  readonly depth: number
  readonly seconds: number
  /** False when the bound on states ended the search before its fixpoint. */
  readonly complete: boolean
  /** States from which it was checked how things end. */
  readonly drained: number
  readonly found: Found | undefined
}

export interface Bounds {
  /** Ends the search after so many states. */
  readonly states?: number
  /** Ends it after so long. */
  readonly seconds?: number
  /** One state in so many is played on to its end. */
  readonly drainOneIn?: number
  /** False: states that stand for one another are all searched, to compare. */
  readonly isReduced?: boolean
}

/** Encoded states of one level, one after another. */
const createLevel = () => {
  let bytes = new Uint8Array(1 << 16)
  let ends = new Uint32Array(1 << 10)
  let [count, size] = [0, 0]
  return {
    get count() {
      return count
    },
    push: (state: Uint8Array): void => {
      if (size + state.length > bytes.length) {
        const more = new Uint8Array(bytes.length * 2)
        more.set(bytes)
        bytes = more
      }
      if (count === ends.length) {
        const more = new Uint32Array(ends.length * 2)
        more.set(ends)
        ends = more
      }
      bytes.set(state, size)
      size += state.length
      ends[count++] = size
    },
    at: (index: number): Uint8Array => bytes.subarray(index === 0 ? 0 : ends[index - 1], ends[index]),
  }
}

/** Breadth first from the initial state to the fixpoint: the first violation found has the shortest trace there is. */
export const search = (
  core: Core,
  config: Config,
  { states = Infinity, seconds = Infinity, drainOneIn = 1, isReduced = true }: Bounds = {},
): Result => {
  const begun = performance.now()
  const actions = createActions(core, config)
  const codec = createCodec(core, config, isReduced)
  const invariants = createInvariants(actions, codec)
  // With more left to spend everything can happen that can with less: such a state stands for all with less.
  const budgets = createRows()
  const visited = createVisited(isReduced ? budgets.isCovered : undefined)
  const rest = spendings.length
  let parents = new Uint32Array(1 << 15)
  let [transitions, depth, drained] = [0, 0, 0]
  let level = createLevel()
  let coming = createLevel()

  const isSymmetric = isReduced && config.accounts[0] === config.accounts[1]

  const keyOf = (bytes: Uint8Array): readonly [hi: number, lo: number, budget: number] => [
    hashOf(bytes, 1, rest),
    hashOf(bytes, 2, rest),
    budgets.numberOf(bytes.subarray(0, rest)),
  ]

  /** The way to a state, played again from the start: among the successors the one with the hash that was kept. */
  const traceTo = (index: number): { trace: string[]; state: State } => {
    const way: number[] = []
    for (let at = index; at > 0; at = parents[at] ?? 0) way.unshift(at)
    let state = initial(config, core.freshAccount)
    const trace: string[] = []
    for (const wanted of way) {
      let found: { what: string; state: State } | undefined
      try {
        actions.successors(state, (what, next) => {
          if (found !== undefined) return
          const bytes = codec.encode(next)
          if (visited.is(wanted, ...keyOf(bytes))) found = { what, state: next }
        })
      } catch (error) {
        if (!(error instanceof Violation)) throw error
      }
      if (found === undefined) throw new Error('the trace cannot be played again')
      trace.push(found.what)
      // Played on from its bytes, as in the search, unless that would swap the names of two accounts.
      state = isSymmetric ? found.state : codec.decode(codec.encode(found.state).slice())
    }
    return { trace, state }
  }

  const visit = (state: State, parent: number): void => {
    const bytes = codec.encode(state)
    const [hi, lo, budget] = keyOf(bytes)
    if (!visited.add(hi, lo, budget)) return
    const index = visited.size - 1
    if (index >= parents.length) {
      const more = new Uint32Array(parents.length * 2)
      more.set(parents)
      parents = more
    }
    parents[index] = parent
    coming.push(bytes)
    invariants.always(state)
    if (drainOneIn === 1 || lo % drainOneIn === 0) {
      drained += 1
      invariants.quiet(state)
    }
  }

  const result = (found: Found | undefined, complete: boolean): Result => ({
    config: config.name,
    states: visited.size,
    distinct: visited.distinct,
    transitions,
    depth,
    seconds: Math.round((performance.now() - begun) / 100) / 10,
    complete,
    drained,
    found,
  })

  let expanding = 0
  try {
    actions.checkRules()
    visit(initial(config, core.freshAccount), 0)
    for (let first = 0; coming.count > 0; depth++) {
      ;[level, coming] = [coming, createLevel()]
      const next = visited.size
      for (let at = 0; at < level.count; at++) {
        expanding = first + at
        if (visited.size > states || performance.now() > begun + seconds * 1000) return result(undefined, false)
        actions.successors(codec.decode(level.at(at)), (_, state) => {
          transitions += 1
          visit(state, expanding)
        })
      }
      first = next
    }
    return result(undefined, true)
  } catch (error) {
    if (!(error instanceof Violation)) throw error
    return result({ what: error.message, trace: blame(expanding, error.message) }, false)
  }

  /** The trace to the state being expanded, and the step from it that broke the rule. */
  function blame(index: number, what: string): string[] {
    const { trace, state } = traceTo(index)
    let last = 'the step that broke it'
    const fresh = createInvariants(actions, codec)
    const labels: string[] = []
    try {
      actions.successors(state, (label, next) => {
        labels.push(label)
        last = label
        fresh.always(next)
        fresh.quiet(next)
        last = `after: ${label}`
      })
    } catch {
      return [...trace, last, `=> ${what}`]
    }
    return [...trace, `=> ${what}`]
  }
}

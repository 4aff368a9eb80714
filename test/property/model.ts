import fc from 'fast-check'
import type { WriteFault } from '../../adapters/memory/faults.ts'
import type { MirrorMode } from '../../src/core/types.ts'
import { minute, type Name, names, second } from '../engine/harness.ts'

export const agents = ['p', 'c', 'x'] as const
export type AgentName = (typeof agents)[number]

/** Who has an account where: `c` is delegated by `p`. */
export const homes: Readonly<Record<AgentName, readonly Name[]>> = { p: names, c: ['north'], x: names }

/** The account in north that some of them share instead. */
export const sharedId = 's'

export const accountOf = ({ sharing }: Pick<Setting, 'sharing'>, at: Name, agent: AgentName): string =>
  at === 'north' && sharing.includes(agent) ? sharedId : agent

export type Command =
  | { do: 'kill' | 'suspend' | 'repeat' | 'patch' | 'leave' | 'join'; agent: AgentName }
  | { do: 'release'; agent: AgentName; by: 'origin' | 'two' | 'approvers' }
  | { do: 'guard'; at: Name; what: 'first' | 'both' | 'stale' | 'tend' }
  | { do: 'flip'; at: Name; agent: AgentName; on: boolean }
  | { do: 'vendor'; at: Name; agent: AgentName; on: boolean }
  | { do: 'hint'; at: Name; agent: AgentName; n: number }
  | { do: 'poll' | 'full' | 'suspendOnce' | 'workOnce'; at: Name }
  | { do: 'lag' | 'logLag'; at: Name; ms: number }
  | { do: 'unreadable'; at: Name; agent: AgentName }
  | { do: 'down' | 'logDown'; at: Name }
  | { do: 'write'; at: Name; agent: AgentName; mode: WriteFault }
  | { do: 'advance' | 'run' | 'jump'; ms: number }
  | { do: 'restart' }
  | { do: 'die'; point: string }

const agent = fc.constantFrom(...agents)
const at = fc.constantFrom(...names)
const on = fc.boolean()
const of = <D extends string>(...list: readonly D[]) => fc.constantFrom(...list)

const probes = [
  'kill.committed',
  'disable.recorded',
  'disable.answered',
  'disable.settled',
  'enable.recorded',
  'enable.answered',
  'enable.settled',
  'guard.chunk',
] as const
const writeFaults: readonly WriteFault[] = ['lost', 'dropped', 'late', 'refused', 'throttled', 'unsent', 'forbidden']

export const command = (jumps: boolean): fc.Arbitrary<Command> =>
  fc.oneof(
    { weight: 4, arbitrary: fc.record({ do: of('kill', 'suspend'), agent }) },
    { weight: 1, arbitrary: fc.record({ do: of('repeat', 'patch'), agent }) },
    { weight: 1, arbitrary: fc.record({ do: of('leave', 'join'), agent }) },
    { weight: 6, arbitrary: fc.record({ do: of('release'), agent, by: of('origin', 'two', 'approvers') }) },
    { weight: 3, arbitrary: fc.record({ do: of('guard'), at, what: of('first', 'both', 'stale', 'tend') }) },
    { weight: 5, arbitrary: fc.record({ do: of('flip'), at, agent, on }) },
    { weight: 2, arbitrary: fc.record({ do: of('vendor'), at, agent, on }) },
    { weight: 2, arbitrary: fc.record({ do: of('hint'), at, agent, n: fc.nat(3) }) },
    { weight: 8, arbitrary: fc.record({ do: of('poll', 'suspendOnce', 'workOnce', 'full'), at }) },
    { weight: 2, arbitrary: fc.record({ do: of('lag'), at, ms: of2(0, 3 * second, 8 * second) }) },
    { weight: 2, arbitrary: fc.record({ do: of('logLag'), at, ms: of2(0, 40 * second, 3 * minute) }) },
    { weight: 1, arbitrary: fc.record({ do: of('unreadable'), at, agent }) },
    { weight: 1, arbitrary: fc.record({ do: of('down', 'logDown'), at }) },
    { weight: 4, arbitrary: fc.record({ do: of('write'), at, agent, mode: fc.constantFrom(...writeFaults) }) },
    { weight: 5, arbitrary: fc.record({ do: of('advance'), ms: of2(200, second, 5 * second, 31 * second) }) },
    { weight: 5, arbitrary: fc.record({ do: of('run'), ms: of2(second, 20 * second, 2 * minute, 12 * minute) }) },
    {
      weight: jumps ? 2 : 0,
      arbitrary: fc.record({ do: of('jump'), ms: of2(-90 * minute, -2 * minute, 90 * minute) }),
    },
    { weight: 1, arbitrary: fc.record({ do: of('restart') }) },
    { weight: 3, arbitrary: fc.record({ do: of('die'), point: fc.constantFrom(...probes) }) },
  )

function of2(...list: readonly number[]) {
  return fc.constantFrom(...list)
}

export interface Setting {
  readonly resume: 'approval' | 'automatic'
  readonly drift: 'reassert' | 'accept'
  readonly south: MirrorMode
  readonly logless: boolean
  readonly guardMax: number
  /** Who shares one account in north. */
  readonly sharing: readonly AgentName[]
}

export const setting: fc.Arbitrary<Setting> = fc.record({
  resume: fc.constantFrom('approval', 'automatic'),
  drift: fc.constantFrom('reassert', 'reassert', 'accept'),
  south: fc.constantFrom<MirrorMode[]>('both', 'both', 'both', 'inbound', 'outbound', 'observe'),
  logless: fc.boolean(),
  guardMax: fc.constantFrom(50, 2, 1),
  sharing: fc.constantFrom<AgentName[][]>([], [], [], ['p', 'c'], ['c', 'x'], ['p', 'c', 'x']),
})

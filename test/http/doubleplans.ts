import { BridgeError } from '../../src/core/errors.ts'
import type { Plan } from '../../src/core/plan.ts'
import type { Plans } from '../../src/engine/planapi.ts'

const did = 'did:agentmesh:a'

const plan: Plan = {
  at: Date.UTC(2026, 10, 21, 10),
  paused: false,
  hash: undefined,
  adapters: [
    {
      adapter: 'contoso',
      mapped: 5,
      changes: [
        {
          change: 'hold',
          dids: [did],
          principal: 'p1',
          because: ['adapter:contoso/p1'],
          cause: 'disabled',
          capability: undefined,
          guarded: false,
        },
        {
          change: 'grant',
          dids: [did],
          principal: undefined,
          because: ['group:contoso/g1'],
          cause: undefined,
          capability: 'read:x',
          guarded: false,
        },
      ],
      waiting: [
        {
          wants: 'off',
          why: 'unsupported',
          dids: [did],
          principal: 'p2',
          because: ['operator:soc'],
          detail: 'read-only',
        },
      ],
      guard: [
        { direction: 'suspend', state: 'tripped', frozen: { hash: 'f'.repeat(64), rows: 2, applying: false } },
        { direction: 'resume', state: 'trips', frozen: undefined },
      ],
      quarantine: ['empty'],
      faults: [],
      hash: 'a'.repeat(64),
    },
    {
      adapter: 'acme',
      mapped: 1,
      changes: [],
      waiting: [],
      guard: [],
      quarantine: [],
      faults: [{ asked: 'accounts', code: 'E_DIRECTORY_DOWN', text: 'The directory does not answer.', n: 1 }],
      hash: undefined,
    },
  ],
}

/** The same plan every time. */
export const createPlanDouble = (): Plans => ({
  plan: async (adapter) => {
    if (adapter === undefined) return plan
    const adapters = plan.adapters.filter((one) => one.adapter === adapter)
    if (adapters.length === 0) throw new BridgeError('E_ADAPTER_UNKNOWN', 'There is no such adapter.')
    return { ...plan, adapters, hash: 'b'.repeat(64) }
  },
})

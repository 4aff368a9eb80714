import assert from 'node:assert/strict'
import { bridgeRoles } from '../../sandbox/entra/seed.ts'
import type { Adapter, HookAnswer, HookRequest } from '../../src/core/adapter.ts'
import { BridgeError } from '../../src/core/errors.ts'
import type { Tending } from '../../src/core/tending.ts'
import type { Clock } from '../../src/lib/clock.ts'
import { createDouble } from '../http/bridge.ts'
import { listen } from '../http/listen.ts'
import { type Bench, type BenchOptions, bench, leaping, signal } from './tenant.ts'

export const STATE = 'the-client-state-of-the-bridge'
export const watchRoles = [...bridgeRoles, 'Group.Read.All']

export interface Watching extends AsyncDisposable {
  readonly bench: Bench
  readonly tenant: Bench['tenant']
  readonly clock: Clock
  /** The address of the hook. */
  readonly hook: string
  /** What the hook answered, in order; a refusal as its code. */
  readonly answers: (HookAnswer | string)[]
  /** The adapter that the hook leads to. */
  readonly adapter: Adapter & { readonly tending: Tending }
  /** Another one of the same name takes its place, as a restart does. */
  restart(graph?: Record<string, unknown>): void
  tend(): ReturnType<Tending['tend']>
  post(body: unknown, query?: string): Promise<{ status: number; text: string; type: string; nosniff: string }>
  ids(): string[]
}

const tended = (adapter: Adapter): Watching['adapter'] => {
  const { tending } = adapter
  assert.ok(tending)
  return { ...adapter, tending }
}

/** A tenant whose Graph delivers to the hook of an adapter, at its address of the real server. */
export async function watching(
  options: BenchOptions = {},
  graph: Record<string, unknown> = {},
  reachable = true,
): Promise<Watching> {
  await using stack = new AsyncDisposableStack()
  const clock = options.clock ?? leaping()
  const made = stack.use(
    await bench({ roles: watchRoles, clock, now: () => clock.now(), eventGridRetryScale: 0.0005, ...options }),
  )
  let adapter: Watching['adapter'] | undefined
  const answers: Watching['answers'] = []
  const bridge = {
    ...createDouble(),
    hook: async (_name: string, request: HookRequest, aborted: AbortSignal) => {
      assert.ok(adapter?.hooks)
      try {
        const answer = await adapter.hooks.receive(request, aborted)
        answers.push(answer)
        return answer
      } catch (error) {
        answers.push(error instanceof BridgeError ? error.code : 'thrown')
        throw error
      }
    },
  }
  const server = stack.use(await listen({ bridge }))
  const publicUrl = `http://127.0.0.1:${reachable ? server.port : 9}`
  const hook = `${publicUrl}/hooks/contoso`
  const restart: Watching['restart'] = (more = {}) => {
    const settings = { hooks: { graph: { clientState: STATE, ...graph, ...more } } }
    adapter = tended(made.open(settings, {}, publicUrl))
  }
  restart()
  const present = () => {
    assert.ok(adapter)
    return adapter
  }
  const held = stack.move()
  return {
    bench: made,
    tenant: made.tenant,
    clock,
    hook,
    answers,
    get adapter() {
      return present()
    },
    restart,
    tend: () => present().tending.tend(signal()),
    async post(body, query = '') {
      const response = await fetch(`${hook}${query}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: typeof body === 'string' ? body : JSON.stringify(body),
      })
      const { headers } = response
      return {
        status: response.status,
        text: await response.text(),
        type: headers.get('content-type') ?? '',
        nosniff: headers.get('x-content-type-options') ?? '',
      }
    },
    ids: () => made.tenant.subscriptions.list.map(({ id }) => id),
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  }
}

export const outcomes = ({ done }: Awaited<ReturnType<Tending['tend']>>): string[] =>
  done.map(({ resource, outcome }) => `${outcome} ${resource}`)

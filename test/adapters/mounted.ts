import assert from 'node:assert/strict'
import type { Adapter, HookAnswer } from '../../src/core/adapter.ts'
import { createDouble } from '../http/bridge.ts'
import { listen } from '../http/listen.ts'

/** The hooks of an adapter at their address of the real server; what they answered is kept. */
export async function mounted({ hooks }: Adapter) {
  assert.ok(hooks)
  const answers: HookAnswer[] = []
  const bridge = {
    ...createDouble(),
    hook: async (...[, request, signal]: Parameters<ReturnType<typeof createDouble>['hook']>) => {
      const answer = await hooks.receive(request, signal)
      answers.push(answer)
      return answer
    },
  }
  const server = await listen({ bridge })
  return {
    url: `http://127.0.0.1:${server.port}/hooks/contoso`,
    ask: server.ask,
    answers,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}

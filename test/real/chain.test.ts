import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import {
  askRelease,
  attachHere,
  becomes,
  type Chain,
  confirmedOff,
  killRoot,
  type Runtime,
  startChain,
  stateOf,
  stopped,
} from '../e2e/chain.ts'
import { startProcess } from '../e2e/process.ts'
import { until } from '../e2e/until.ts'
import { tokenOf } from '../e2e/world.ts'
import { type Python, project, pythonWithClient } from './virtualenv.ts'

/** A Python process that runs every agent of the chain under AGT's kill switch. */
const attachPython = async ({ world, origin, all }: Chain, { path }: Python): Promise<Runtime> => {
  const dids = all.map(({ did }) => did)
  const child = startProcess([origin, tokenOf('python'), join(world.folder, 'python.db'), ...dids], {
    program: join(project, 'tests/runtime.py'),
    interpreter: path,
  })
  const lastOf = (did: string) => child.lines.findLast((line) => /^(open|closed) /.test(line) && line.endsWith(did))
  const isOpen = (did: string) => lastOf(did)?.startsWith('open ') === true
  await until('it knows who is held', () => dids.every((did) => lastOf(did) !== undefined), 60_000)
  return {
    name: 'python',
    isOpen,
    stops: (did) => child.lines.filter((line) => line === `stopped ${did}`).length,
    [Symbol.asyncDispose]: () => child[Symbol.asyncDispose](),
  }
}

test('a kill at hop one stops hop three in Entra, Okta, a TypeScript and a Python process; kill -9 or not, its release undoes exactly that', {
  timeout: 900_000,
}, async (t: TestContext) => {
  const python = await pythonWithClient(t)
  if (python === undefined) return
  await using chain = await startChain()
  await using here = await attachHere(chain)
  await using there = await attachPython(chain, python)
  const runtimes = [here, there]
  const before = await stateOf(chain, runtimes)
  // The fourth is not free in between: nothing of it runs that a second kill could stop.
  const freed = [chain.root, chain.middle, chain.leaf]
  const again = async () => {
    chain.daemon.process.signal('SIGKILL')
    await chain.daemon.process.ended()
    await chain.restart()
  }
  for (const [round, between] of [async () => undefined, again].entries()) {
    const holdId = await killRoot(chain)
    await between()
    await stopped(chain, runtimes)
    await until('each was stopped once more', () =>
      runtimes.every(({ stops }) => freed.every(({ did }) => stops(did) === round + 1)),
    )
    await confirmedOff(chain)
    const release = await askRelease(chain, holdId)
    await release()
    await between()
    await becomes(chain, runtimes, before)
  }
})

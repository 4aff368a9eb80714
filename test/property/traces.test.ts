import { env } from 'node:process'
import { test } from 'node:test'
import fc from 'fast-check'
import { awsSite, entraSite, oktaSite } from './sites.ts'
import { alphabet, type Model, type Setting, Trace } from './traces.ts'

const numRuns = Number(env['FC_RUNS'] ?? 40)
const seed = env['FC_SEED'] === undefined ? {} : { seed: Number(env['FC_SEED']) }

const setting: fc.Arbitrary<Setting> = fc.record({
  resume: fc.constantFrom('approval', 'automatic'),
  staleMs: fc.constantFrom(0, 4_000),
  auditDelayMs: fc.constantFrom(0, 6_000),
})

const pairs = [
  { what: 'two Entra tenants', kinds: { north: entraSite, south: entraSite } },
  { what: 'an Entra tenant and an Okta org', kinds: { north: entraSite, south: oktaSite } },
  { what: 'AWS accounts and an Okta org', kinds: { north: awsSite, south: oktaSite } },
]

for (const { what, kinds } of pairs)
  test(`random traces over real sockets: the invariants hold in ${what}`, async () => {
    const commands = fc.commands(alphabet, { maxCommands: 25, size: 'max' })
    const property = fc.asyncProperty(setting, commands, async (chosen, list) => {
      await using trace = await Trace.open(chosen, kinds)
      const model: Model = { off: new Set() }
      await fc.asyncModelRun(() => ({ model, real: { trace } }), list)
      await trace.calm(model)
    })
    // On a loaded machine fewer runs must do, unless somebody asked for so many.
    const limit = env['FC_RUNS'] === undefined ? { interruptAfterTimeLimit: 50_000 } : {}
    await fc.assert(property, { numRuns, ...seed, ...limit, endOnFailure: env['FC_SHRINK'] === undefined })
  })

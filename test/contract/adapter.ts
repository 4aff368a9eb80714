import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { decodeJwt } from 'jose'
import type { Adapter, Page, WriteResult } from '../../src/core/adapter.ts'
import { BridgeError, codeOf, type ErrorCode } from '../../src/core/errors.ts'
import type { Sighting } from '../../src/core/types.ts'
import { authorityOf } from '../../src/lib/jwt.ts'
import type { Rig } from './rig.ts'

export type { Rig } from './rig.ts'

/** What the proving read said of the switch that the bridge writes. It need not have read every other one. */
const ownSwitch = (result: WriteResult | undefined) => result?.before?.switches.find((each) => each.ours)?.state

const RETRY_AFTER_MS = 1000
const signal = () => AbortSignal.timeout(30_000)

async function pass(adapter: Adapter, since?: string, aside = false): Promise<{ pages: Page[]; checkpoint: string }> {
  const pages: Page[] = []
  for await (const page of adapter.changes(since, signal(), aside)) pages.push(page)
  const last = pages.at(-1)?.checkpoint
  assert.ok(last !== undefined, 'the last page carries the checkpoint')
  for (const page of pages.slice(0, -1)) assert.equal(page.checkpoint, undefined, 'and only the last one')
  return { pages, checkpoint: last }
}

const sightings = (pages: readonly Page[]): readonly Sighting[] => pages.flatMap((page) => page.sightings)
const mentioned = (pages: readonly Page[]): Set<string> =>
  new Set(pages.flatMap((page) => [...page.sightings.map((each) => each.id), ...page.touched]))

async function failure(run: () => Promise<unknown>): Promise<BridgeError> {
  try {
    await run()
  } catch (error) {
    assert.ok(error instanceof BridgeError, `a BridgeError, not ${String(error)}`)
    return error
  }
  return assert.fail('expected a failure')
}

function everything(error: unknown, depth = 0): string {
  if (!(error instanceof Error) || depth > 5) return JSON.stringify(error) ?? ''
  const own = error instanceof BridgeError ? `${error.hint} ${JSON.stringify(error.details)}` : ''
  return `${error.name} ${error.message} ${error.stack} ${own} ${everything(error.cause, depth + 1)}`
}

/** What every adapter must do, whatever its directory. */
export function adapterContract(name: string, setup: () => Promise<Rig>): void {
  const rigged = (title: string, body: (rig: Rig) => Promise<void>) =>
    it(title, async () => {
      await using rig = await setup()
      await body(rig)
    })

  describe(`${name} keeps the adapter contract`, () => {
    rigged('lists every account once, with exactly one switch of ours', async ({ adapter, refs }) => {
      const { pages } = await pass(adapter)
      for (const { id, kind } of refs) {
        const seen = sightings(pages).filter((each) => each.id === id)
        assert.equal(seen.length, 1)
        assert.equal(seen[0]?.state, 'enabled')
        assert.equal(seen[0]?.byId, false)
        assert.equal(seen[0]?.kind, kind)
        assert.equal(seen[0]?.switches.filter((each) => each.ours).length, 1)
      }
    })

    rigged('a failed page rejects the pass and gives no checkpoint', async (rig) => {
      await rig.breakFeed()
      const pages: Page[] = []
      await failure(async () => {
        for await (const page of rig.adapter.changes(undefined, signal())) pages.push(page)
      })
      assert.ok(pages.every((page) => page.checkpoint === undefined))
    })

    rigged('resumes with what changed', async ({ adapter, refs, setEnabled, remove }) => {
      const first = await pass(adapter)
      await setEnabled(refs[1].id, false)
      await remove(refs[2].id)
      const second = await pass(adapter, first.checkpoint)
      const flipped = sightings(second.pages).findLast((each) => each.id === refs[1].id)
      assert.ok(flipped ? flipped.state === 'disabled' : mentioned(second.pages).has(refs[1].id))
      assert.ok(mentioned(second.pages).has(refs[2].id) || !sightings(second.pages).some((s) => s.id === refs[2].id))
      const states = sightings(second.pages).filter((each) => each.id === refs[2].id)
      assert.ok(
        states.every((each) => each.state !== 'absent'),
        'only a read by id proves absence',
      )
    })

    rigged('a look aside tells everything, and takes nothing from the next pass', async (rig) => {
      const { adapter, refs, setEnabled, remove } = rig
      const first = await pass(adapter)
      await setEnabled(refs[1].id, false)
      await remove(refs[2].id)
      const aside = await pass(adapter, undefined, true)
      assert.ok(mentioned(aside.pages).has(refs[0].id))
      assert.equal(sightings(aside.pages).findLast(({ id }) => id === refs[1].id)?.state ?? 'disabled', 'disabled')
      const second = await pass(adapter, first.checkpoint)
      assert.ok(mentioned(second.pages).has(refs[1].id), 'what was switched off')
      assert.ok(mentioned(second.pages).has(refs[2].id), 'who is gone')
    })

    rigged('says when a checkpoint expired', async ({ adapter, expire }) => {
      const { checkpoint } = await pass(adapter)
      await expire()
      const error = await failure(() => pass(adapter, checkpoint))
      assert.equal(error.code, 'E_CHECKPOINT_EXPIRED')
      await pass(adapter)
    })

    rigged('refuses a checkpoint that is not its own', async ({ adapter }) => {
      const error = await failure(() => pass(adapter, 'https://evil.example/delta'))
      assert.equal(error.code, 'E_CHECKPOINT_EXPIRED')
    })

    rigged('tells absent from unreadable', async ({ adapter, refs, missing, unreadable, remove }) => {
      await unreadable(refs[1].id)
      await remove(refs[2].id)
      const seen = await adapter.lookup([...refs, missing], signal())
      assert.deepEqual(
        [...refs, missing].map(({ id }) => seen.get(id)?.state),
        ['enabled', 'unknown', 'absent', 'absent'],
      )
      assert.ok([...seen.values()].every((each) => each.byId))
    })

    rigged('lists group members through all nesting', async ({ adapter, group }) => {
      if (!group) return assert.equal(adapter.groups, undefined)
      assert.ok(adapter.groups)
      const ids = new Set<string>()
      for await (const page of adapter.groups.members(group.id, signal())) for (const id of page) ids.add(id)
      assert.deepEqual([...ids].sort(), [...group.members].sort())
    })

    rigged('a partial or missing group is a failure, never an empty one', async ({ adapter, group }) => {
      if (!group) return
      const members = async (id: string) => {
        for await (const _ of adapter.groups?.members(id, signal()) ?? []);
      }
      await failure(() => members(group.missing))
      await group.break()
      await failure(() => members(group.id))
    })

    rigged('disables and enables, twice each', async ({ adapter, refs, enabled }) => {
      const { accounts } = adapter
      assert.ok(accounts)
      const [first] = await accounts.disable([refs[0]], signal())
      assert.equal(first?.outcome, 'done')
      assert.equal(ownSwitch(first), 'on')
      assert.equal(first?.before?.byId, true)
      assert.equal(await enabled(refs[0].id), false)
      const [again] = await accounts.disable([refs[0]], signal())
      assert.ok(again?.outcome === 'unsent' || again?.outcome === 'done')
      assert.equal(again?.before?.state, 'disabled')
      for (const _ of [1, 2]) {
        assert.equal((await accounts.enable([refs[0]], signal()))[0]?.outcome, 'done')
        assert.equal(await enabled(refs[0].id), true)
      }
    })

    rigged('disables many and answers for each', async ({ adapter, refs, missing, setEnabled, enabled }) => {
      await setEnabled(refs[1].id, false)
      const results = (await adapter.accounts?.disable([...refs, missing], signal())) ?? []
      const of = (id: string) => results.find((each) => each.id === id)
      assert.equal(results.length, 4)
      assert.deepEqual([of(refs[0].id)?.outcome, ownSwitch(of(refs[0].id))], ['done', 'on'])
      assert.equal(of(refs[1].id)?.before?.state, 'disabled')
      assert.deepEqual([of(refs[2].id)?.outcome, ownSwitch(of(refs[2].id))], ['done', 'on'])
      assert.deepEqual([of(missing.id)?.outcome, of(missing.id)?.before?.state], ['unsent', 'absent'])
      for (const { id } of refs) assert.equal(await enabled(id), false)
    })

    rigged('an unreadable account is disabled all the same', async (rig) => {
      const { adapter, refs, unreadable, enabled } = rig
      await unreadable(refs[0].id)
      const [result] = (await adapter.accounts?.disable([refs[0]], signal())) ?? []
      if (rig.readsToWrite) {
        assert.deepEqual([result?.outcome, result?.before], ['unsent', undefined])
        return assert.ok(result?.error instanceof BridgeError)
      }
      assert.equal(result?.outcome, 'done')
      assert.equal(result?.before, undefined)
      assert.equal(await enabled(refs[0].id), false)
    })

    rigged('its log tells our changes from those of others', async ({ adapter, refs, setEnabled }) => {
      const { accounts } = adapter
      if (!accounts?.log) return
      await accounts.disable([refs[0]], signal())
      await setEnabled(refs[1].id, false)
      const { entries, completeUntil } = await accounts.log.read({ from: 0, to: Number.MAX_SAFE_INTEGER }, signal())
      const ours = entries.filter((entry) => entry.id === refs[0].id)
      assert.deepEqual(
        ours.map(({ action, ours }) => [action, ours]),
        [['disable', true]],
      )
      const theirs = entries.filter((entry) => entry.id === refs[1].id)
      assert.deepEqual(
        theirs.map(({ action, ours }) => [action, ours]),
        [['disable', false]],
      )
      assert.ok(Number.isFinite(completeUntil))
    })

    rigged('stops when aborted', async ({ adapter, refs, enabled }) => {
      const gone = AbortSignal.abort(new Error('stop'))
      assert.equal((await failure(() => adapter.lookup(refs, gone))).code, 'E_ABORTED')
      const [result] = (await adapter.accounts?.disable([refs[0]], gone)) ?? []
      assert.equal(result?.outcome, 'unsent')
      assert.equal(await enabled(refs[0].id), true)
      await failure(async () => {
        for await (const _ of adapter.changes(undefined, gone));
      })
    })

    const codes: Record<'throttled' | 'down' | 'forbidden' | 'auth', ErrorCode> = {
      throttled: 'E_DIRECTORY_THROTTLED',
      down: 'E_DIRECTORY_DOWN',
      forbidden: 'E_DIRECTORY_FORBIDDEN',
      auth: 'E_DIRECTORY_AUTH',
    }
    for (const how of ['throttled', 'down', 'forbidden', 'auth'] as const) {
      rigged(`${how}: the right code everywhere, and no secret in it`, async (rig) => {
        const { adapter, refs } = rig
        await rig.breakAll(how)
        const error = await failure(() => adapter.lookup(refs, signal()))
        assert.equal(error.code, codes[how])
        if (how === 'throttled') assert.ok((error.retryAfterMs ?? 0) >= RETRY_AFTER_MS)
        const feed = await failure(() => pass(adapter))
        assert.equal(feed.code, codes[how])
        const [result] = (await adapter.accounts?.disable([refs[0]], signal())) ?? []
        assert.notEqual(result?.outcome, 'done')
        assert.equal(result?.error?.code, codes[how])
        const findings = await adapter.check(signal())
        const said = everything(error) + everything(feed) + everything(result?.error) + JSON.stringify(findings)
        for (const secret of rig.secrets) assert.ok(!`${said}${rig.logged()}`.includes(secret), 'a secret was shown')
        await rig.heal()
        await adapter.lookup(refs, signal())
      })
    }

    rigged('sends nothing to another origin', async ({ adapter, hostileFeed }) => {
      if (!hostileFeed) return
      const received = await hostileFeed()
      const error = await failure(() => pass(adapter))
      assert.equal(error.code, 'E_OUTBOUND_ORIGIN')
      assert.equal(received(), 0)
    })

    rigged('refuses an id that no account can have', async ({ adapter, refs }) => {
      const error = adapter.vet({ id: '../../users', kind: refs[0].kind })
      assert.equal(codeOf(error), 'E_PRINCIPAL_ID')
      assert.equal(adapter.vet(refs[0]), undefined)
    })

    rigged("names the agent of its own tokens and refuses a neighbour tenant's", async ({ adapter, refs, tokens }) => {
      if (!tokens) return
      const speaksFor = (token: string) => {
        const claims = decodeJwt(token)
        const audiences = [claims.aud].flat()
        const issuer = adapter.issuers.find(
          (each) =>
            each.issuer === (each.namedBy === 'sub' ? authorityOf(claims.sub) : claims.iss) &&
            each.audiences.some((audience) => audiences.includes(audience)),
        )
        const subject = issuer && adapter.identify(claims)
        return subject && 'principals' in subject ? subject : undefined
      }
      const own = speaksFor(await tokens.own(refs[0].id))
      const [name] = own?.names ?? []
      assert.equal(own?.principals[0] ?? refs[0].id, refs[0].id)
      assert.ok(own?.principals.length === 1 || refs[0].id.startsWith(`${name}#`), 'by its id, or by its name')
      for (const token of await tokens.neighbours(refs[0].id)) assert.equal(speaksFor(token), undefined)
    })

    rigged('hooks: a forged delivery is refused, a replayed one is harmless', async ({ adapter, refs, hooks }) => {
      if (!hooks) return
      assert.ok(adapter.hooks)
      const sighting = (await adapter.lookup([refs[0]], signal())).get(refs[0].id)
      const known = new Set<string | undefined>([refs[0].id, sighting?.dependsOn ?? refs[0].id])
      const request = await hooks.genuine(refs[0].id)
      const answers = [await adapter.hooks.receive(request, signal()), await adapter.hooks.receive(request, signal())]
      for (const answer of answers) {
        assert.ok(answer.status === 200 || answer.status === 202)
        assert.equal(answer.hints.length, 1)
        assert.ok(known.has(answer.hints[0]?.principal), 'its id, or what it depends on')
      }
      assert.deepEqual(answers[0]?.hints, answers[1]?.hints, 'a replay has the same delivery key')
      for (const forged of await hooks.forged(refs[0].id)) {
        const error = await failure(async () => adapter.hooks?.receive(forged, signal()))
        assert.equal(error.code, 'E_HOOK_UNVERIFIED')
      }
    })

    rigged('check never throws', async (rig) => {
      assert.ok((await rig.adapter.check(signal())).every((finding) => finding.level !== 'error'))
      await rig.breakAll('down')
      assert.ok(Array.isArray(await rig.adapter.check(signal())))
    })
  })
}

import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { describe, it } from 'node:test'
import { startEntraTenant } from '../../sandbox/entra/index.ts'
import { playable } from '../../sandbox/entra/playable.ts'
import { type Disturbance, type PlanOptions, type Playable, plan, play } from '../../sandbox/schedule.ts'
import { requestToken, send } from './client.ts'

const options: PlanOptions = {
  seed: 5,
  minutes: 3,
  disturbances: ['refused', 'keys-down', 'clock-ahead'],
  everyMs: 1000,
  longestMs: 4000,
  staleMs: 700,
}

describe('a schedule of faults', () => {
  it('is repeated by its seed, is JSON, and brings every kind before one comes again', () => {
    const steps = plan(options)
    assert.deepEqual(plan(options), steps)
    assert.notDeepEqual(plan({ ...options, seed: 6 }), steps)
    assert.deepEqual(JSON.parse(JSON.stringify(steps)), JSON.parse(JSON.stringify(plan(options))))
    const kinds = new Set(steps.map(({ fault }) => fault))
    assert.deepEqual(
      steps
        .slice(0, kinds.size)
        .map(({ fault }) => fault)
        .toSorted(),
      [...kinds].toSorted(),
    )
    for (const name of [
      'hang',
      'late-write',
      'stale-read',
      'looping-link',
      'throttled-without',
      ...options.disturbances,
    ])
      assert.ok(kinds.has(name), name)
    const fewer = plan({ ...options, without: ['hang', 'refused'] })
    assert.ok(!fewer.some(({ fault }) => fault === 'hang' || fault === 'refused') && fewer.length > 20)
    for (const { at, forMs, share } of steps) {
      assert.ok(at >= 0 && at < 180_000 && forMs > 0 && forMs <= 4000 && share > 0 && share <= 1)
    }
  })

  it('is played in order and lifts everything, at its end or when aborted', async () => {
    const on = new Set<string>()
    const begun: string[] = []
    const tenant: Playable = {
      places: { any: /^/, lists: /^/, reads: /^/, writes: /^/, carriers: /^/ },
      disturbances: options.disturbances,
      fail: (_match, fault) => {
        const name = JSON.stringify(fault)
        on.add(name)
        return () => on.delete(name)
      },
      disturb: async (what: Disturbance) => {
        on.add(what)
        return async () => void on.delete(what)
      },
    }
    const steps = plan(options).map((step) => ({ ...step, at: step.at / 1000, forMs: 1 }))
    await play(steps, tenant, { signal: new AbortController().signal, begun: ({ fault }) => begun.push(fault) })
    assert.deepEqual(begun.toSorted(), steps.map(({ fault }) => fault).toSorted())
    assert.equal(on.size, 0)
    const abort = new AbortController()
    const long = steps.map((step) => ({ ...step, at: 0, forMs: 600_000 }))
    const playing = play(long, tenant, { signal: abort.signal, begun: () => abort.abort() })
    await playing
    assert.equal(on.size, 0)
    const [step] = steps
    assert.ok(step !== undefined)
    const unknown = { ...step, at: 0, fault: 'locusts', match: undefined, answer: undefined }
    await assert.rejects(play([unknown], tenant, { signal: new AbortController().signal }), /locusts/)
  })

  it('an Entra tenant can be put into every disturbance and out of it', async () => {
    await using tenant = await startEntraTenant()
    const stage = playable(tenant)
    const app = tenant.registerApp({ name: 'a', roles: [] })
    const form = { client_id: app.appId, client_secret: app.secret, scope: 'https://graph.microsoft.com/.default' }
    const date = async () => Date.parse((await send(`${tenant.origin}/v1.0/users`)).headers.get('date') ?? '')
    const keys = async () => (await send(`${tenant.origin}/${tenant.tenantId}/discovery/v2.0/keys`)).status
    const seen: Record<string, () => Promise<boolean>> = {
      refused: async () => (await send(tenant.origin).catch(() => undefined)) === undefined,
      'token-endpoint-down': async () => (await requestToken(tenant, form)).status === 503,
      'keys-down': async () => (await keys()) === 503,
      'clock-ahead': async () => (await date()) > Date.now() + 500_000,
      'clock-behind': async () => (await date()) < Date.now() - 500_000,
    }
    for (const [what, isOn] of Object.entries(seen)) {
      const name = stage.disturbances.find((each) => each === what)
      assert.ok(name !== undefined, what)
      const lift = await stage.disturb(name)
      assert.equal(await isOn(), true, what)
      await lift()
      assert.equal(await isOn(), false, what)
    }
  })

  it('events are duplicated, dropped, or sent the last one first', async () => {
    await using tenant = await startEntraTenant()
    const got: string[] = []
    const receiver = createServer((request, response) => {
      response.setHeader('webhook-allowed-origin', '*')
      request.resume().on('end', () => response.end())
    })
    await new Promise<void>((done) => receiver.listen(0, '127.0.0.1', done))
    const address = receiver.address()
    assert.ok(typeof address === 'object' && address !== null)
    try {
      const auth = { type: 'key', key: 'k', header: 'x-key' } as const
      await tenant.subscribeEventGrid({ url: `http://127.0.0.1:${address.port}/`, schema: 'cloudevents', auth })
      const publish = (id: string) => tenant.publishCustomEvent({ id, type: 't', subject: id, data: {} })
      const stage = playable(tenant)
      const duplicated = await stage.disturb('hooks-duplicated')
      publish('twice')
      await duplicated()
      const dropped = await stage.disturb('hooks-dropped')
      publish('never')
      await dropped()
      const reordered = await stage.disturb('hooks-reordered')
      publish('first')
      publish('second')
      assert.ok(!tenant.deliveries.some(({ eventId }) => eventId === 'first'))
      await reordered()
      await tenant.waitForDelivery(({ eventId, outcome }) => eventId === 'first' && outcome === 'delivered')
      got.push(...tenant.deliveries.map(({ eventId }) => eventId))
    } finally {
      receiver.closeAllConnections()
      receiver.close()
    }
    assert.deepEqual(got, ['twice', 'twice', 'second', 'first'])
  })
})

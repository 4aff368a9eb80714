import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { test } from 'node:test'
import { kill, registerAll, reporterDid, scoutDid } from './agents.ts'
import { at, parsed } from './json.ts'
import { run, startProcess } from './process.ts'
import { clientEntry, type Daemon, people, startWorld, tokenOf } from './world.ts'

const both = {
  auth: {
    clients: [
      ...Object.entries(people).map(([name, role]) => clientEntry(name, role)),
      clientEntry('watcher', ['runtime', 'reader']),
    ],
  },
}
const env = (origin: string, name: string) => ({
  IDP_BRIDGE_URL: origin,
  IDP_BRIDGE_TOKEN: tokenOf(name),
  NO_COLOR: '1',
})

/** A way to the daemon that can be cut. */
const wire = async ({ origin }: Daemon) => {
  const { hostname, port } = new URL(origin)
  const open = new Set<Socket>()
  const server = createServer((from) => {
    const to = connect(Number(port), hostname)
    for (const one of [from, to]) {
      open.add(one)
      one.on('close', () => open.delete(one)).on('error', () => undefined)
    }
    from.pipe(to).pipe(from)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const cut = () => {
    for (const one of open) one.destroy()
  }
  return {
    origin: `http://127.0.0.1:${address.port}`,
    cut,
    [Symbol.asyncDispose]: async () => {
      server.close()
      cut()
      await once(server, 'close')
    },
  }
}

test('events follows signals and audit, goes on after a cut without loss or repetition, and ends at SIGINT', async () => {
  await using world = await startWorld(both)
  await using daemon = await world.daemon()
  await registerAll(daemon, world)
  await using way = await wire(daemon)
  await using following = startProcess(['events', '--json'], { env: env(way.origin, 'watcher') })
  const is = (source: string, type: string, did?: string) => (line: string) => {
    const event = parsed(line)
    const told = source === 'signal' ? event : at(event, 'entry')
    return (
      at(event, 'source') === source &&
      at(told, source === 'signal' ? 'event' : 'type') === type &&
      (did === undefined || at(source === 'signal' ? at(told, 'data') : told, 'did') === did)
    )
  }
  await following.line('the snapshot', is('signal', 'snapshot'), 60_000)
  await kill(daemon, scoutDid)
  await following.line('the first signal', is('signal', 'suspended', scoutDid), 60_000)
  await following.line('its entry', is('audit', 'hold.placed', scoutDid), 60_000)
  way.cut()
  await kill(daemon, reporterDid)
  await following.line('the second signal', is('signal', 'suspended', reporterDid), 60_000)
  await following.line('its entry', is('audit', 'hold.placed', reporterDid), 60_000)
  // Groups are read meanwhile, which is told as well.
  const others: unknown[] = ['current', 'capabilities']
  const signals = following.lines
    .map(parsed)
    .filter((one) => at(one, 'source') === 'signal' && !others.includes(at(one, 'event')))
  const events = signals.map((one) => at(one, 'event'))
  assert.deepEqual(events, ['snapshot', 'suspended', 'suspended'])
  const seqs = following.lines
    .map(parsed)
    .filter((one) => at(one, 'source') === 'audit')
    .map((one) => Number(at(one, 'entry', 'seq')))
  assert.deepEqual(
    seqs,
    [...new Set(seqs)].sort((a, b) => a - b),
  )
  following.signal('SIGINT')
  const ended = await following.ended()
  assert.equal(ended.code, 0, ended.err)

  const id = String(at(signals[1], 'id'))
  await using resumed = startProcess(['events', '--only', 'signals', '--last-event-id', id], {
    env: env(daemon.origin, 'watcher'),
  })
  await resumed.line(
    'what came after',
    (line) => / signal {2}suspended {2}did:agentmesh:report\S+ {2}kill {2}/.test(line),
    60_000,
  )
  assert.ok(
    !resumed.lines.some((line) => (line.includes('suspended') && line.includes(scoutDid)) || line.includes('snapshot')),
    resumed.lines.join('\n'),
  )
  resumed.signal('SIGTERM')
  assert.equal((await resumed.ended()).code, 0)
})

test('events follows what the client may see, and says what it may not', async () => {
  await using world = await startWorld()
  await using daemon = await world.daemon()
  await registerAll(daemon, world)
  await using following = startProcess(['events', '--after', '0'], { env: env(daemon.origin, 'alice') })
  await following.line(
    'an entry of the past',
    (line) => / audit {3}agent\.registered {2}did:mesh:\S+ {2}by registrar/.test(line),
    60_000,
  )
  following.signal('SIGINT')
  const ended = await following.ended()
  assert.deepEqual(
    [ended.code, /alice does not see signals: that takes the role runtime/.test(ended.err)],
    [0, true],
    ended.err,
  )

  const none = await run(['events'], { env: env(daemon.origin, 'gateway') })
  assert.equal(none.code, 77, none.err)
  const wrong = await run(['events', '--only', 'noise'], { env: env(daemon.origin, 'alice') })
  assert.equal(wrong.code, 64, wrong.err)
})

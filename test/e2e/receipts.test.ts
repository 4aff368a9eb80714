import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { execPath } from 'node:process'
import { test } from 'node:test'
import { analystDid, kill, path, registerAll, reporterDid, scoutDid } from './agents.ts'
import { at, listAt, parsed, textAt } from './json.ts'
import { main, run } from './process.ts'
import { until } from './until.ts'
import { type Daemon, isMessage, startWorld, type World } from './world.ts'

const receiptOf = async (daemon: Daemon, did: string, holdId: string) => {
  const answer = await daemon.as('alice').get(path(did, `/receipts/${holdId}`))
  assert.equal(answer.status, 200, answer.text)
  return answer
}

const closed = (daemon: Daemon, did: string, holdId: string) =>
  until(`the receipt of ${holdId} closes`, async () => {
    const answer = await receiptOf(daemon, did, holdId)
    return at(answer.body, 'status') === 'closed' && answer
  })

const save = ({ folder }: World, name: string, text: string): string => {
  const file = join(folder, name)
  writeFileSync(file, text)
  return file
}

const keySet = async (daemon: Daemon): Promise<{ text: string; kids: string[] }> => {
  const { status, text, body } = await daemon.nobody.get('/.well-known/jwks.json')
  assert.equal(status, 200, text)
  return { text, kids: listAt(body, 'keys').map((key) => textAt(key, 'kid')) }
}

test('a kill closes leg by leg, and its receipt is proven without asking the bridge', async () => {
  await using world = await startWorld()
  const { files, runtimeSeq } = await (async () => {
    await using daemon = await world.daemon()
    await registerAll(daemon, world)
    await using stream = await daemon.stream('runtime')
    const answer = await daemon.as('runtime').post('/v1/kill', { agentId: analystDid, reason: 'policy violation' })
    assert.equal(answer.status, 202, answer.text)
    const holdId = textAt(answer.body, 'holdId')
    assert.equal(textAt(answer.body, 'receipt'), path(analystDid, `/receipts/${holdId}`))
    const child = await stream.frame(
      'the child',
      ({ event, data }) => event === 'suspended' && at(data, 'did') === reporterDid,
    )
    const waiting = await until('the accounts are closed', async () => {
      const { body } = await receiptOf(daemon, analystDid, holdId)
      const accounts = listAt(body, 'legs').filter((leg) => at(leg, 'type') === 'account')
      assert.equal(accounts.length, 2)
      return accounts.every((leg) => at(leg, 'state') === 'closed') && body
    })
    // The child's runtime has not said yet that it stopped it.
    assert.equal(at(waiting, 'status'), 'open')
    const seq = at(child.data, 'seq')
    const ack = await daemon.as('runtime').post(`/v1/signals/${seq}/ack`)
    assert.equal(ack.status, 204, ack.text)
    const { text } = await closed(daemon, analystDid, holdId)
    const keys = await keySet(daemon)
    return {
      runtimeSeq: seq,
      files: { receipt: save(world, 'receipt.json', text), jwks: save(world, 'jwks.json', keys.text), text },
    }
  })()
  assert.ok(Number(runtimeSeq) > 0)
  const legs = listAt(parsed(files.text), 'legs')
  assert.deepEqual(
    legs.map((leg) => [at(leg, 'type'), at(leg, 'state'), at(leg, 'reason')]),
    [
      ['account', 'closed', 'disabled'],
      ['account', 'closed', 'disabled'],
      ['runtime', 'closed', 'origin'],
      ['descendant', 'closed', undefined],
    ],
  )
  const proven = await run(['receipt', 'verify', files.receipt, '--jwks', files.jwks])
  assert.equal(proven.code, 0, proven.err)
  assert.match(proven.out, /^valid: signed by idp-bridge at /)
  assert.match(proven.out, /^status closed$/m)
  const piped = spawnSync(execPath, [main, 'receipt', 'verify', '-', '--key', world.keyFile, '--json'], {
    input: textAt(parsed(files.text), 'jws'),
    encoding: 'utf8',
  })
  assert.equal(piped.status, 0, piped.stderr)
  assert.partialDeepStrictEqual(parsed(piped.stdout), { valid: true, receipt: { did: analystDid, status: 'closed' } })
  const forged = save(world, 'forged.json', files.text.replace('"state":"closed"', '"state":"failed"'))
  const refused = await run(['receipt', 'verify', forged, '--jwks', files.jwks])
  assert.equal(refused.code, 70)
  assert.match(refused.out, /^not valid: what stands beside the signature is not what was signed$/)
  const keyless = await run(['receipt', 'verify', files.receipt])
  assert.equal(keyless.code, 64)
  assert.match(keyless.err, /--jwks/)
})

test('keys rotate by a reload: the new one signs, the old one stays published while it is listed', async () => {
  await using world = await startWorld()
  await using daemon = await world.daemon()
  await registerAll(daemon, world)
  const holdId = await kill(daemon, scoutDid)
  const before = await closed(daemon, scoutDid, holdId)
  const first = await keySet(daemon)
  assert.equal(first.kids.length, 1)
  const second = save(
    world,
    'second.pem',
    generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  )
  let reloads = 0
  const reload = async (files: readonly string[]) => {
    world.configure({ signing: { keys: files.map((file) => ({ file })) } })
    daemon.process.signal('SIGHUP')
    reloads += 1
    const isDone = async () => (await keySet(daemon)).kids.length === files.length
    await until(`reload ${reloads}`, isDone)
  }
  await reload([second, world.keyFile])
  const both = await keySet(daemon)
  assert.equal(both.kids[1], first.kids[0])
  const after = await receiptOf(daemon, scoutDid, holdId)
  const kidOf = (text: string) =>
    textAt(parsed(Buffer.from(textAt(parsed(text), 'jws').split('.')[0] ?? '', 'base64url').toString()), 'kid')
  assert.equal(kidOf(before.text), both.kids[1])
  assert.equal(kidOf(after.text), both.kids[0])
  const verify = (text: string, jwks: string) =>
    run(['receipt', 'verify', save(world, 'receipt.json', text), '--jwks', save(world, 'jwks.json', jwks)])
  assert.equal((await verify(before.text, both.text)).code, 0)
  assert.equal((await verify(after.text, both.text)).code, 0)
  assert.equal((await verify(after.text, first.text)).code, 70)
  await reload([second])
  const last = await keySet(daemon)
  assert.deepEqual(last.kids, [both.kids[0]])
  assert.equal((await verify(before.text, last.text)).code, 70)
  await reload([])
  const unsigned = await receiptOf(daemon, scoutDid, holdId)
  assert.equal(at(unsigned.body, 'jws'), null)
  assert.deepEqual((await keySet(daemon)).kids, [])
})

test('a daemon that was killed tells the same receipt when it is back', async () => {
  await using world = await startWorld()
  const daemon = await world.daemon()
  await registerAll(daemon, world)
  const holdId = await kill(daemon, scoutDid)
  const before = await closed(daemon, scoutDid, holdId)
  daemon.process.signal('SIGKILL')
  await daemon.process.ended()
  await using again = await world.daemon()
  assert.ok(again.process.lines.some(isMessage('listening')))
  const after = await closed(again, scoutDid, holdId)
  const kept = (body: unknown) =>
    listAt(body, 'legs').map((leg) => [at(leg, 'type'), at(leg, 'state'), at(leg, 'closedAt')])
  assert.deepEqual(kept(after.body), kept(before.body))
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { at, listAt, parsed } from './json.ts'
import { run } from './process.ts'
import { type Daemon, startWorld, tokenOf } from './world.ts'

const rarely = { adapters: { contoso: { sync: { accounts: '0 0 1 1 *', groups: '0 0 1 1 *', full: '0 0 1 1 *' } } } }
const as = ({ origin }: Pick<Daemon, 'origin'>, name = 'alice') => ({
  env: { IDP_BRIDGE_URL: origin, IDP_BRIDGE_TOKEN: tokenOf(name), NO_COLOR: '1' },
})

test('doctor finds nothing to mend, then the right that was taken away, then the clock, then a directory that is gone', async () => {
  await using world = await startWorld(rarely)
  {
    await using daemon = await world.daemon()
    const fine = await run(['doctor'], as(daemon))
    assert.equal(fine.code, 0, fine.out + fine.err)
    assert.match(fine.out, /^nothing to mend, 0 warnings, \d+ that cannot be told, \d+ ok$/m)
    assert.match(fine.out, /^ {2}\? {2}nobody can tell whether deliveries reach \/hooks\/contoso/m)
    const refused = await run(['doctor'], as(daemon, 'gateway'))
    assert.equal(refused.code, 77)
    const unknown = await run(['doctor', '--adapter', 'nowhere'], as(daemon))
    assert.deepEqual([unknown.code, /E_ADAPTER_UNKNOWN/.test(unknown.err)], [64, true])
  }
  world.tenant.revoke(world.contoso.bridge.appId, 'AuditLog.Read.All')
  world.tenant.setClockOff(-90_000)
  await using daemon = await world.daemon()
  const sick = await run(['doctor', '--adapter', 'contoso', '--json'], as(daemon))
  assert.equal(sick.code, 78, sick.err)
  const errors = listAt(parsed(sick.out), 'findings').filter((one) => at(one, 'level') === 'error')
  assert.deepEqual(errors.map((one) => at(one, 'code')).sort(), ['clock', 'permission'])
  const text = await run(['doctor', '--adapter', 'contoso'], as(daemon))
  assert.match(text.out, /^ {2}FAIL {2}the bridge lacks the application permission AuditLog\.Read\.All/m)
  assert.match(text.out, /^ {6}→ az ad app permission add --id /m)
  assert.ok(!text.out.includes(world.contoso.bridge.secret))
  await world.tenant.goAway()
  const gone = await run(['doctor'], as(daemon))
  assert.equal(gone.code, 78, gone.out + gone.err)
  assert.ok(!gone.out.includes(world.contoso.bridge.secret))
})

test('doctor reaches the hook by the public URL, and says what answers there is no bridge', async () => {
  await using world = await startWorld(rarely)
  world.configure({ ...rarely, server: { publicUrl: world.tenant.origin } })
  await using daemon = await world.daemon()
  const { body } = await daemon.as('alice').get('/v1/doctor')
  const hook = listAt(body, 'findings').filter((one) => at(one, 'about') === 'hook:contoso')
  assert.deepEqual(
    hook.map((one) => at(one, 'code')),
    ['hook-plain', 'hook-private', 'hook-elsewhere'],
  )
})

test('doctor without a daemon says so, with what to do', async () => {
  const { code, err } = await run(['doctor'], as({ origin: 'http://127.0.0.1:9' }))
  assert.equal(code, 69)
  assert.match(err, /No daemon answers at .*\(E_UNREACHABLE\)\n.*idp-bridge run/)
})

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { execPath } from 'node:process'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { path, principal, register, scoutDid } from '../e2e/agents.ts'
import { client } from '../e2e/client.ts'
import { freePort } from '../e2e/freeport.ts'
import { textAt } from '../e2e/json.ts'
import { main } from '../e2e/process.ts'
import { until } from '../e2e/until.ts'
import { startWorld, tokenOf } from '../e2e/world.ts'
import { need } from '../real/tools.ts'
import { shellBlocks } from './blocks.ts'

/**
 * The pages of docs/running and docs/runbooks, followed to the letter on a real daemon and store: only `systemctl` and `az`
 * are stand-ins, the first of which really starts and stops the daemon.
 */
const ran = promisify(execFile)
const onPath = (name: string) => () =>
  (process.env['PATH'] ?? '')
    .split(':')
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path))
const missing = ['bash', 'curl', 'jq', 'openssl'].filter((name) => typeof need(name, onPath(name), name) !== 'string')

const systemctl = `#!/bin/bash
end() {
  [ -f daemon.pid ] || return 0
  kill -TERM "$(cat daemon.pid)" 2>/dev/null || true
  while kill -0 "$(cat daemon.pid)" 2>/dev/null; do read -rt 0.1 <> <(:) || true; done
  rm daemon.pid
}
case $1 in
  start)
    # Emptied before: the child that is started may get round to it late, and the line of the last one would be found.
    : > daemon.log
    idp-bridge run --config bridge.yaml >> daemon.log 2>&1 &
    echo $! > daemon.pid
    until grep -q '"msg":"listening"' daemon.log; do
      kill -0 "$(cat daemon.pid)" 2>/dev/null || { cat daemon.log >&2; exit 1; }
      read -rt 0.1 <> <(:) || true
    done ;;
  stop) end ;;
  reload)
    before=$(grep -c 'configuration reloaded' daemon.log || true)
    kill -HUP "$(cat daemon.pid)"
    until [ "$(grep -c 'configuration reloaded' daemon.log || true)" -gt "$before" ]; do read -rt 0.1 <> <(:) || true; done ;;
  status) [ -f daemon.pid ] ;;
  *) exit 64 ;;
esac
`

const set = async (stack: AsyncDisposableStack) => {
  // A daemon that is started again must be found where it was.
  const port = await freePort()
  const world = stack.use(await startWorld({ server: { port } }))
  const { folder } = world
  assert.equal(world.configFile, join(folder, 'bridge.yaml'), 'the name that the pages have')
  const bin = join(folder, 'bin')
  mkdirSync(bin)
  const script = (name: string, text: string) => {
    writeFileSync(join(bin, name), text)
    chmodSync(join(bin, name), 0o755)
  }
  script('idp-bridge', `#!/bin/sh\nexec '${execPath}' '${main}' "$@"\n`)
  script('systemctl', systemctl)
  script('az', '#!/bin/sh\nexit 0\n')
  const origin = `http://127.0.0.1:${port}`
  const env = {
    PATH: `${bin}:${dirname(execPath)}:${process.env['PATH']}`,
    IDP_BRIDGE_URL: origin,
    ALICE: tokenOf('alice'),
    BOB: tokenOf('bob'),
    DID: scoutDid,
    BACKUP: 'backup.db',
    LEAKED: tokenOf('runtime'),
    CLIENT: 'runtime',
  }
  /** Commands in one shell, so that what one sets the next one has. */
  const bash = async (text: string): Promise<string> => {
    try {
      const options = { cwd: folder, env, timeout: 300_000, maxBuffer: 64 * 1024 * 1024 }
      return (await ran('bash', ['-e', '-o', 'pipefail', '-c', text], options)).stdout
    } catch (error) {
      const { stdout, stderr } = { stdout: '', stderr: '', ...Object(error) }
      throw new Error(`${text}\n${stdout}\n${stderr}`, { cause: error })
    }
  }
  stack.defer(() => bash('systemctl stop').then(() => undefined))
  await bash('systemctl start')
  const as = (name: string) => client(origin, tokenOf(name))
  await register(as('alice'), { did: scoutDid, name: 'scout', principals: [principal(world.contoso.agents.scout)] })
  await bash('idp-bridge backup backup.db --config bridge.yaml')
  const follow = (page: string) => bash(shellBlocks(page).join('\n'))
  const kill = async () => {
    const killed = await as('runtime').post('/v1/kill', { agentId: scoutDid, reason: 'a mistake' })
    assert.equal(killed.status, 202, killed.text)
  }
  const status = async () => textAt((await as('alice').get(path(scoutDid))).body, 'status')
  const isOn = () => world.tenant.get(world.contoso.agents.scout)?.enabled === true
  return { as, bash, file: (name: string) => join(folder, name), follow, isOn, kill, status }
}

const options = { timeout: 600_000, skip: missing.length > 0 && `not installed: ${missing.join(', ')}` }

test('backup, upgrade and restore, as their pages say', options, async (t: TestContext) => {
  await using stack = new AsyncDisposableStack()
  const { bash, file, follow, kill, status } = await set(stack)
  await t.test('backup', async () => {
    assert.match(await follow('docs/running/backup.md'), /"ok":true/)
  })
  await t.test('upgrade, and back', async () => {
    await kill()
    assert.match(await follow('docs/running/upgrade.md'), /chain holds/)
    assert.equal(await status(), 'suspended', 'what was there before the upgrade is there')
  })
  await t.test('restore: the holds that the backup does not have are placed again', async () => {
    await follow('docs/running/restore.md')
    assert.match(readFileSync(file('restored.txt'), 'utf8'), new RegExp(scoutDid))
    assert.equal(await status(), 'suspended')
  })
  await t.test('disaster: onto an empty disk', async () => {
    await bash('systemctl stop')
    for (const name of ['bridge.db', 'bridge.db-wal', 'bridge.db-shm', 'bridge.db.lock', 'bridge.db.head']) {
      rmSync(file(name), { force: true })
    }
    assert.match(await follow('docs/running/disaster.md'), /chain holds/)
    await until('the account, which is off, holds the agent', async () => (await status()) === 'suspended')
  })
})

test('the runbooks, as they are written', options, async (t: TestContext) => {
  await using stack = new AsyncDisposableStack()
  const { as, file, follow, isOn, kill, status } = await set(stack)
  await t.test('fleet wrongly held', async () => {
    await kill()
    await follow('docs/runbooks/fleet-held.md')
    assert.equal(await status(), 'active')
    await until('the account is on', () => isOn())
  })
  await t.test('bridge down', async () => {
    process.kill(Number(readFileSync(file('daemon.pid'), 'utf8')), 'SIGKILL')
    await follow('docs/runbooks/bridge-down.md')
    assert.equal(await status(), 'active')
  })
  await t.test('token leaked', async () => {
    const out = await follow('docs/runbooks/token-leaked.md')
    assert.match(out, /^401$/m)
    assert.match(out, /hold\.placed/, 'what was done with it')
    assert.equal((await as('runtime').get('/v1/whoami')).status, 401)
  })
  await t.test('database lost', async () => {
    await follow('docs/runbooks/database-lost.md')
    assert.ok(existsSync(file('evidence/bridge.db')))
    assert.equal(await status(), 'active')
  })
})

import assert from 'node:assert/strict'
import { createHash, generateKeyPairSync } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { z } from 'zod'
import { shellBlocks } from '../docs/blocks.ts'
import { until } from '../e2e/until.ts'
import { openEngine } from './engine.ts'
import { imageBase } from './imagebase.ts'
import { buildImage, importBases, marker, root } from './imagebuild.ts'

const image = 'idp-bridge-tested'
const limitBytes = 300_000_000

const dockerfile = await readFile(join(root, 'Dockerfile'), 'utf8')
const bases = [...dockerfile.matchAll(/^ARG (\w+)=(\S+)$/gm)].map(([, name = '', from = '']) => ({ name, from }))
const nodeVersion = /^node:(\d+\.\d+\.\d+)-/.exec(bases.find(({ name }) => name === 'NODE')?.from ?? '')?.[1]

test('every image that the Dockerfile starts from is named by its digest, and nothing else is fetched', () => {
  const froms = [...dockerfile.matchAll(/^FROM (\S+)/gm)].map(([, from]) => from)
  assert.deepEqual(
    froms,
    bases.map(({ name }) => `\${${name}}`),
  )
  for (const { name, from } of bases) assert.match(from, /^[a-z]+:[\w.-]+@sha256:[0-9a-f]{64}$/, name)
  assert.doesNotMatch(dockerfile, /^ADD |curl|wget|apt-get/m)
})

/** Without a network; an engine by itself may set higher limits than this machine allows. */
const alone = ['--network', 'none', '--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=1024:1024']
const own = '1000:1000'

const inspected = z.tuple([
  z.object({
    Size: z.number(),
    HealthCheck: z.object({ Test: z.array(z.string()) }).optional(),
    Healthcheck: z.object({ Test: z.array(z.string()) }).optional(),
    Config: z.object({
      User: z.string(),
      Env: z.array(z.string()),
      Entrypoint: z.array(z.string()),
      Cmd: z.array(z.string()),
      Volumes: z.record(z.string(), z.unknown()),
      StopSignal: z.string(),
    }),
  }),
])

const token = 'token-of-the-image-test'
const did = 'did:agentmesh:in-the-image'
const configuration = {
  version: 1,
  server: { host: '127.0.0.1' },
  store: { url: 'sqlite:/data/bridge.db' },
  signing: { keys: [{ file: '/run/secrets/ed25519.pem' }] },
  auth: {
    clients: [
      {
        name: 'soc',
        role: ['operator', 'runtime', 'gateway'],
        tokenSha256: createHash('sha256').update(token).digest('hex'),
      },
    ],
  },
  adapters: {
    contoso: {
      kind: 'entra',
      tenantId: '11111111-2222-3333-4444-555555555555',
      credential: {
        type: 'clientSecret',
        clientId: 'aaaaaaaa-0000-4000-8000-000000000001',
        secret: { file: '/run/secrets/secret' },
      },
      settle: '5m',
      tokens: { audiences: ['api://agents'] },
    },
  },
}

/** How docs/running/containers.md starts one, up to the volumes. */
const documented = (): readonly string[] => {
  const [block = ''] = shellBlocks('docs/running/containers.md')
  const [, flags = ''] = /docker run (.*?) -v /s.exec(block.replaceAll('\\\n', ' ')) ?? []
  return flags.split(/\s+/).filter((word) => word !== '')
}

/** Asked from within, where nothing but the daemon is: no other program, network or port of the host. */
const asking = `const [, path, body, token] = process.argv
const headers = { authorization: 'Bearer ' + token, 'content-type': 'application/json' }
const answer = await fetch('http://127.0.0.1:8480' + path, body === '' ? { headers } : { method: 'POST', headers, body })
console.log(JSON.stringify({ status: answer.status, body: await answer.json() }))`
const answered = z.object({ status: z.number(), body: z.record(z.string(), z.unknown()) })

test('the image is built from the Dockerfile, small and clean, and runs as its page says', {
  timeout: 1_200_000,
}, async (t: TestContext) => {
  const base = await imageBase()
  if ('skip' in base) return t.skip(base.skip)
  const opened = await openEngine()
  if ('skip' in opened) return t.skip(opened.skip)
  await using engine = opened
  await using stack = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'idp-bridge-image-'))
  stack.defer(() => rm(folder, { recursive: true, force: true }))
  try {
    await importBases(engine, base, folder)
  } catch (error) {
    if (process.env.CI === 'true') throw error
    return t.skip(`Podman does not work here: ${String(error).trim().split('\n').at(-1)}`)
  }
  await buildImage(engine, image, folder)
  /** One program of the image, run by a user: the image's own, or root. */
  const once = (user: string, program: string, ...args: readonly string[]) =>
    engine.attempt('run', ...alone, '--no-healthcheck', '--rm', '--user', user, '--entrypoint', program, image, ...args)

  await t.test(
    'what it says of itself: size, user, volume, signal, a health check without a shell or curl',
    async () => {
      const [{ Size, Config, ...rest }] = inspected.parse(JSON.parse(await engine.run('image', 'inspect', image)))
      t.diagnostic(`${Math.round(Size / 1e6)} MB`)
      assert.ok(Size < limitBytes, `${Size} bytes`)
      assert.equal(Config.User, own)
      assert.deepEqual(Object.keys(Config.Volumes), ['/data'])
      assert.equal(Config.StopSignal, 'SIGTERM')
      assert.deepEqual(Config.Cmd, ['run'])
      const check = (rest.HealthCheck ?? rest.Healthcheck)?.Test ?? []
      assert.deepEqual(check.slice(0, 2), ['CMD', '/usr/local/bin/node'])
      const { out } = await once(own, '/usr/local/bin/node', '--version')
      assert.equal(out.trim(), `v${nodeVersion}`)
    },
  )

  await t.test('nothing of the workshop comes along: no secret, test, tool, source, npm or curl', async () => {
    const files = (await once('0', '/usr/bin/find', '/', '-xdev', '-type', 'f')).out.split('\n')
    assert.ok(files.includes('/app/dist/src/main.js'))
    const ours = files.filter((path) => path.startsWith('/app/'))
    const unwanted =
      /\.(ts|mts|cts|map|pem|key|db|tsbuildinfo)$|\.(test|spec)\.[cm]?js$|\/\.(env|npmrc|git)|\/bridge\.yaml$/
    assert.deepEqual(
      ours.filter((path) => unwanted.test(path)),
      [],
    )
    const { packages } = z
      .object({ packages: z.record(z.string(), z.object({ dev: z.boolean().optional() })) })
      .parse(JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8')))
    const tools = Object.entries(packages).filter(([, { dev }]) => dev === true)
    assert.ok(tools.length > 100)
    for (const [name] of tools) assert.ok(!ours.some((path) => path.startsWith(`/app/${name}/`)), name)
    assert.deepEqual(
      files.filter((path) => /\/(npm|npx|curl|wget|gcc|python3?)$|npm-cli/.test(path)),
      [],
    )
    const { code, out } = await once('0', '/bin/grep', '-rlFs', marker, '/app', '/data', '/etc', '/home', '/root')
    assert.deepEqual({ code, out }, { code: 1, out: '' })
  })

  await t.test('its user may write where data and temporary files are, and nowhere else', async () => {
    const writable = await once(own, '/usr/bin/find', '/', '-xdev', '-writable', '!', '-type', 'l')
    const allowed = /^\/(data|tmp|var\/tmp|run\/lock|dev|proc|sys)(\/|$)/
    assert.deepEqual(
      writable.out
        .trim()
        .split('\n')
        .filter((path) => !allowed.test(path)),
      [],
    )
  })

  const run = join(folder, 'run')
  await mkdir(run)
  const { privateKey } = generateKeyPairSync('ed25519')
  await writeFile(join(run, 'ed25519.pem'), privateKey.export({ type: 'pkcs8', format: 'pem' }))
  await writeFile(join(run, 'secret'), 'the-secret-of-an-application')
  await writeFile(join(run, 'bridge.yaml'), JSON.stringify(configuration))
  const mounts = [
    ['--volume', 'bridge-data:/data'],
    ['--volume', `${join(run, 'bridge.yaml')}:/etc/idp-bridge/bridge.yaml:ro`],
    ...['ed25519.pem', 'secret'].map((name) => ['--volume', `${join(run, name)}:/run/secrets/${name}:ro`]),
  ].flat()
  const flags = documented()
  // Podman would mount /run and /var/tmp for writing as well.
  const strict = [...flags, '--read-only-tmpfs=false']
  assert.ok(flags.includes('--read-only') && flags.includes('--cap-drop'), flags.join(' '))
  const start = (name: string) =>
    // Checks are asked for here, one by one: on their own they would need systemd.
    engine.run('run', '--detach', '--name', name, ...alone, '--health-interval=disable', ...strict, ...mounts, image)
  const isHealthy = async (name: string) => (await engine.attempt('healthcheck', 'run', name)).code === 0
  const ask = async (name: string, path: string, body?: object) =>
    answered.parse(
      JSON.parse(
        await engine.run(
          'exec',
          name,
          '/usr/local/bin/node',
          '--input-type=module',
          '-e',
          asking,
          path,
          body === undefined ? '' : JSON.stringify(body),
          token,
        ),
      ),
    )
  const exitOf = (name: string) => engine.run('inspect', name, '--format', '{{.State.ExitCode}}')
  const stop = async (name: string) => {
    // Past ten seconds the engine kills, and the exit code would be 137.
    await engine.run('stop', '--time', '10', name)
    assert.equal(await exitOf(name), '0', await engine.run('logs', name))
  }

  await t.test('another command runs in it, on a configuration from outside', async () => {
    const args = ['run', '--rm', ...alone, '--no-healthcheck', ...strict, ...mounts]
    assert.match(await engine.run(...args, image, 'check-config'), /ok|no faults/i)
  })

  await t.test(
    'read-only but for its volume, without a capability, it comes up, decides and becomes healthy',
    async () => {
      await start('first')
      await until('healthy', () => isHealthy('first'), 120_000)
      const killed = await ask('first', '/v1/kill', { agentId: did, reason: 'policy violation' })
      assert.equal(killed.status, 202, JSON.stringify(killed.body))
      assert.equal((await engine.run('exec', 'first', '/usr/bin/id', '-u')).trim(), '1000')
      assert.equal(await engine.run('exec', 'first', '/usr/bin/stat', '-c', '%u %a', '/data/bridge.db'), '1000 600')
      for (const path of ['/app/x', '/etc/x', '/x', '/var/lib/x']) {
        const { code, err } = await engine.attempt('exec', 'first', '/usr/bin/touch', path)
        assert.ok(code !== 0 && /Read-only|denied/.test(err), `${path}: ${err}`)
      }
      const status = await engine.run('exec', 'first', '/bin/grep', 'CapEff', '/proc/1/status')
      assert.match(status, /CapEff:\s0{16}/)
    },
  )

  await t.test('a daemon that no longer answers is unhealthy, and healthy once it does again', async () => {
    await engine.run('kill', '--signal', 'STOP', 'first')
    // By its own time-out: an engine has others, and other exit codes when it fails itself.
    assert.equal((await engine.attempt('healthcheck', 'run', 'first')).code, 1)
    await engine.run('kill', '--signal', 'CONT', 'first')
    await until('healthy again', () => isHealthy('first'), 60_000)
  })

  await t.test(
    'SIGTERM ends it in order within ten seconds; what was acknowledged is there in the next one',
    async () => {
      await stop('first')
      assert.match(await engine.run('logs', 'first'), /"msg":"stopped"/)
      assert.equal(await isHealthy('first'), false)
      await start('second')
      await until('healthy', () => isHealthy('second'), 120_000)
      const decision = await ask('second', '/v1/decisions', { did })
      assert.equal(decision.status, 200)
      assert.equal(decision.body['allow'], false)
      const audit = await engine.run(
        'exec',
        'second',
        '/usr/local/bin/node',
        '/app/dist/src/main.js',
        'audit',
        'verify',
      )
      assert.match(audit, /chain holds/)
      await stop('second')
    },
  )

  await t.test('its log holds neither the token nor the secret', async () => {
    const logs = `${await engine.run('logs', 'first')}${await engine.run('logs', 'second')}`
    assert.match(logs, /listening/)
    for (const secret of [token, 'the-secret-of-an-application']) assert.ok(!logs.includes(secret))
  })
})

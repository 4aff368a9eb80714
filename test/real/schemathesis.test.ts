import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { clientEntry, people, startWorld, tokenOf } from '../e2e/world.ts'
import { pythonWith } from './virtualenv.ts'

/** Of the checks those that say something of an API whose answers depend on what it has seen before. */
const checks = [
  'not_a_server_error',
  'status_code_conformance',
  'content_type_conformance',
  'response_schema_conformance',
  'response_headers_conformance',
]

/** A status list of the past is answered 501 by its draft, and is no failure; a stream of events never ends. */
const settings = `[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", 501]
`

/** Whoever may do everything at once. */
const fuzzer = clientEntry('fuzzer', ['operator', 'runtime', 'gateway'])

test('no request that the API description allows or forbids is answered otherwise than it says', {
  timeout: 1_800_000,
}, async (t: TestContext) => {
  const python = await pythonWith(t, 'schemathesis==4.32.5')
  if (python === undefined) return
  const clients = Object.entries(people).map(([name, role]) => clientEntry(name, role))
  const server = { publicUrl: 'https://bridge.contoso.com' }
  await using world = await startWorld({ server, auth: { clients: [...clients, fuzzer] } })
  await using daemon = await world.daemon()
  const configFile = join(world.folder, 'schemathesis.toml')
  writeFileSync(configFile, settings)
  // It keeps what it found where it runs.
  const options = { cwd: world.folder, maxBuffer: 64 * 1024 * 1024, signal: t.signal }
  const { error, out } = await promisify(execFile)(
    python.path,
    [
      '-m',
      'schemathesis.cli',
      `--config-file=${configFile}`,
      'run',
      `${daemon.origin}/openapi.json`,
      `--url=${daemon.origin}`,
      `--header=Authorization: Bearer ${tokenOf('fuzzer')}`,
      `--checks=${checks.join(',')}`,
      '--phases=examples,fuzzing',
      '--max-examples=8',
      '--seed=20261122',
      '--generation-database=none',
      '--exclude-operation-id=streamSignals',
      '--request-timeout=120',
      '--continue-on-failure',
      '--no-shrink',
      '--suppress-health-check=all',
      '--warnings=off',
      '--no-color',
    ],
    options,
  ).then(
    ({ stdout }) => ({ error: undefined, out: stdout }),
    (error: Error & { stdout?: string; stderr?: string }) => ({ error, out: `${error.stdout}${error.stderr}` }),
  )
  if (process.env.REPORT !== undefined) process.stdout.write(out)
  assert.equal(error, undefined, out.slice(-20_000))
  const [, tested] = /(\d[\d,]*) generated/.exec(out) ?? []
  assert.ok(Number(tested?.replaceAll(',', '')) > 300, out.slice(-2000))
})

import assert from 'node:assert/strict'
import { execFile, execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { need } from './tools.ts'
import { pythonWith } from './virtualenv.ts'

const run = promisify(execFile)
const root = resolve(import.meta.dirname, '../..')
const project = resolve(import.meta.dirname, 'kubernetes')
const kept = resolve(root, 'node_modules/.cache/kubernetes')

/** Older ones fetch the version that the module asks for. */
const goPath = (): string | undefined =>
  [process.env.GO, 'go', '/usr/local/go/bin/go'].find((path) => {
    if (path === undefined) return false
    try {
      const [, minor] = /go1\.(\d+)/.exec(execFileSync(path, ['env', 'GOVERSION'], { encoding: 'utf8' })) ?? []
      return Number(minor) >= 21
    } catch {
      return false
    }
  })

test('deploy/kubernetes is built by the real Kustomize, and every object is one that Kubernetes has', {
  timeout: 900_000,
}, async (t: TestContext) => {
  const go = need('Go', goPath, 'golang-go')
  if (typeof go !== 'string') return t.skip(go.skip)
  mkdirSync(kept, { recursive: true })
  const build = (program: string, from: string) =>
    run(go, ['build', '-o', `${kept}/${program}`, from], { cwd: project, maxBuffer: 64 * 1024 * 1024 })
  try {
    await build('objects', '.')
    await build('kustomize', 'sigs.k8s.io/kustomize/kustomize/v5')
  } catch (error) {
    if (process.env.CI === 'true') throw error
    return t.skip(`Kustomize could not be built: ${String(error).trim().split('\n').at(-1)}`)
  }
  const { stdout: objects } = await run(`${kept}/kustomize`, ['build', `${root}/deploy/kubernetes`])
  const read = (input: string) => spawnSync(`${kept}/objects`, { input, encoding: 'utf8' })
  const { status, stdout, stderr } = read(objects)
  assert.equal(status, 0, stderr)
  assert.deepEqual(stdout.trim().split('\n').toSorted(), [
    'apps/v1 Deployment',
    'networking.k8s.io/v1 NetworkPolicy',
    'policy/v1 PodDisruptionBudget',
    'v1 ConfigMap',
    'v1 Namespace',
    'v1 PersistentVolumeClaim',
    'v1 Service',
    'v1 ServiceAccount',
  ])
  assert.notEqual(read(objects.replace('readOnlyRootFilesystem', 'readOnlyRootFileSystem')).status, 0)
})

const templates = ['main', 'queue'].map((name) => resolve(root, `deploy/bicep/${name}.bicep`))
/** The parser that scanners of templates use, and the models by which Microsoft's own client of that API writes what it sends. */
const readers = ['pycep-parser==0.7.1', 'azure-mgmt-eventgrid==10.2.0', 'six==1.17.0']

test('deploy/bicep is read by a parser of Bicep, and every property is one that the API of Event Grid has', {
  timeout: 600_000,
}, async (t: TestContext) => {
  const python = await pythonWith(t, ...readers)
  if (python === undefined) return
  const [text = '', queue = ''] = templates.map((template) => readFileSync(template, 'utf8'))
  const read = (input: string) =>
    spawnSync(python.path, [resolve(import.meta.dirname, 'bicep/check.py')], { input, encoding: 'utf8' })
  const listed = (input: string) => {
    const { status, stdout, stderr } = read(input)
    assert.equal(status, 0, stderr)
    return stdout.trim().split('\n')
  }
  const ofEventGrid = [
    'Microsoft.EventGrid/partnerTopics@2022-06-15 existing',
    'Microsoft.EventGrid/partnerTopics/eventSubscriptions@2022-06-15',
  ]
  assert.deepEqual(listed(text), ofEventGrid)
  assert.deepEqual(
    listed(queue).filter((line) => !line.endsWith(' unread')),
    ofEventGrid,
  )
  const wrong: readonly (readonly [string, string, RegExp])[] = [
    ['endpointUrl', 'endpointUri', /no such property/],
    ['CloudEventSchemaV1_0', 'CloudEvents', /is none of/],
    ["'WebHook'", "'Webhooks'", /endpointType: .* is none of/],
    ['maxEventsPerBatch: 10', 'maxEventsPerBatch: true', /is no int/],
    ['parent: partnerTopic', 'parent: other', /is no resource/],
    ['azureActiveDirectoryTenantId: tenantId', 'azureActiveDirectoryTenantId: nobody', /not declared/],
    ['eventSubscriptions@2022', 'eventSubscriptions@2021', /its API/],
    ['includedEventTypes: [', 'includedEventTypes: [ {', /Unexpected token/],
  ]
  const wrongQueue: typeof wrong = [
    ['queueMessageTimeToLiveInSeconds', 'ttl', /no such property/],
    ["'StorageQueue'", "'Queue'", /endpointType: .* is none of/],
    ['queueName: bells.name', 'queueName: bell.name', /not declared/],
    ['queueName: bells.name', 'queueName: true', /is no str/],
    ["'SystemAssigned'", "'Mine'", /is none of/],
    ['parent: queues', 'parent: others', /not declared/],
  ]
  const faults = [...wrong.map((one) => [text, one] as const), ...wrongQueue.map((one) => [queue, one] as const)]
  for (const [whole, [from, to, told]] of faults) {
    assert.ok(whole.includes(from), from)
    const faulty = read(whole.replace(from, to))
    assert.notEqual(faulty.status, 0, to)
    assert.match(faulty.stderr, told, to)
  }
})

/** BICEP names it; otherwise the one on the path. */
const bicepPath = (): string | undefined =>
  [process.env.BICEP, 'bicep'].find((path) => path !== undefined && spawnSync(path, ['--version']).status === 0)

test("deploy/bicep is compiled by Bicep's own compiler, without a warning", { timeout: 300_000 }, (t) => {
  // It is in no package registry, so CI cannot install it.
  const bicep = bicepPath()
  if (bicep === undefined) return t.skip("Bicep's own compiler is not installed; the test above reads the template")
  for (const template of templates) {
    const built: { readonly status: number | null; readonly stdout: string; readonly stderr: string } = spawnSync(
      bicep,
      ['build', '--stdout', template],
      { encoding: 'utf8' },
    )
    assert.equal(built.status, 0, built.stderr)
    assert.equal(built.stderr.trim(), '')
    assert.match(built.stdout, /Microsoft\.EventGrid\/partnerTopics\/eventSubscriptions/)
  }
})

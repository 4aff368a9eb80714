import assert from 'node:assert/strict'
import { execFile, execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { resolve } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { need } from './tools.ts'

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

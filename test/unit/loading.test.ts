import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { resolve } from 'node:path'
import { execPath } from 'node:process'
import { test } from 'node:test'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Packages that a process has loaded after these lines. */
const loaded = async (lines: string): Promise<ReadonlySet<string>> => {
  const program = `
    import { registerHooks } from 'node:module'
    const names = new Set()
    registerHooks({
      load(url, context, next) {
        const name = /.*\\/node_modules\\/((?:@[^/]+\\/)?[^/]+)/.exec(url)?.[1]
        if (name !== undefined) names.add(name)
        return next(url, context)
      },
    })
    ${lines}
    console.log([...names].join(' '))`
  const { stdout } = await run(execPath, ['--input-type=module', '-e', program], {
    cwd: resolve(import.meta.dirname, '../..'),
  })
  return new Set(stdout.trim().split(' '))
}

const none = (names: ReadonlySet<string>, unwanted: RegExp) =>
  assert.deepEqual(
    [...names].filter((name) => unwanted.test(name)),
    [],
  )

test('the daemon loads no SDK of a directory, and no traces, before it knows its configuration', async () => {
  const names = await loaded("await import('./src/cli/run.ts')")
  assert.ok(names.has('fastify'))
  none(names, /^(?:@aws-sdk|@smithy|@grpc|@opentelemetry\/(?!api)|@microsoft|@azure\/)/)
})

test('an adapter is loaded with what it needs, and without what others need', async () => {
  const open = (kind: string) => loaded(`await (await import('./adapters/index.ts')).loadAdapters(['${kind}'])`)
  const [entra, aws, spiffe] = await Promise.all([open('entra'), open('aws'), open('spiffe')])
  assert.ok(entra.has('@azure/identity'))
  none(entra, /^(?:@aws-sdk|@grpc|@azure\/storage-queue)/)
  assert.ok(aws.has('@aws-sdk/client-iam'))
  none(aws, /^(?:@azure|@grpc)/)
  assert.ok(spiffe.has('@grpc/grpc-js'))
  none(spiffe, /^(?:@azure|@aws-sdk)/)
})

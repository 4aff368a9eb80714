import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { execPath } from 'node:process'
import { test } from 'node:test'
import { promisify } from 'node:util'

const run = promisify(execFile)
const root = resolve(import.meta.dirname, '../..')
const modules = resolve(root, 'node_modules')
const compiler = join(modules, 'typescript/bin/tsc')

const consumer = `
import { attach, type Attachment, AgtClientError } from 'agentmesh-idp-bridge/agt'
import { type Authority, createMcpGuard, createRemoteAuthority, McpGuardError } from 'agentmesh-idp-bridge/mcp'
const killSwitch = { kill: async (agentId: string, { reason }: { reason: string }) => ({ agentId, reason, killedAt: '' }) }
const controller = new AbortController()
controller.abort()
const bridge: Attachment = attach({ url: 'https://bridge.example.com', token: 't', killSwitch, signal: controller.signal })
try {
  bridge.gate.assert('did:mesh:a')
} catch (error) {
  if (error instanceof AgtClientError) console.log(error.code, error.gate.join())
}
const authority: Authority = createRemoteAuthority({ url: 'https://bridge.example.com', token: 't' })
try {
  createMcpGuard({ authority, resource: 'https://mcp.example.com/crm', authorizationServers: [] })
} catch (error) {
  if (error instanceof McpGuardError) console.log(error.code)
}
`

const gateway = `
import { createVerifier, type DecisionAnswer, type LocalAnswer, BridgeError } from 'agentmesh-idp-bridge/verifier'
await using verifier = createVerifier({ url: 'http://127.0.0.1:9', token: 't', onError: () => undefined })
const answer: LocalAnswer = await verifier.decide({ did: 'did:mesh:a', capability: 'read:x' })
const plain: DecisionAnswer = answer
try {
  createVerifier({ url: 'http://bridge.example.com', token: 't' })
} catch (error) {
  if (error instanceof BridgeError) console.log(error.code, plain.allow, plain.codes.join(), answer.staleness.ageMs)
}
`

/** What the verifier loads besides our own files. */
const loaded = ['canonicalize', 'jose', 'node-cron', 'undici', 'zod']

test('built, the package gives its clients, with types, to a project that has nothing else installed', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'idp-bridge-package-'))
  try {
    const home = join(folder, 'node_modules/agentmesh-idp-bridge')
    mkdirSync(home, { recursive: true })
    cpSync(join(root, 'package.json'), join(home, 'package.json'))
    const build = ['-p', join(root, 'tsconfig.build.json'), '--outDir', join(home, 'dist')]
    await run(execPath, [compiler, ...build, '--sourceMap', 'false'])
    const file = join(folder, 'consumer.mts')
    writeFileSync(file, consumer)
    const strict = ['--strict', '--module', 'nodenext', '--target', 'es2024', '--lib', 'es2024,esnext.disposable']
    mkdirSync(join(folder, 'node_modules/@types'))
    symlinkSync(join(modules, '@types/node'), join(folder, 'node_modules/@types/node'))
    await run(execPath, [compiler, ...strict, '--types', 'node', '--noEmit', file], { cwd: folder })
    const { stdout, stderr } = await run(execPath, [file], { cwd: folder })
    assert.equal(stdout, 'E_GATE_CLOSED R_STOPPED\nE_OPTIONS\n')
    assert.equal(stderr, '')

    for (const name of loaded) symlinkSync(join(modules, name), join(folder, 'node_modules', name))
    const other = join(folder, 'gateway.mts')
    writeFileSync(other, gateway)
    await run(execPath, [compiler, ...strict, '--types', 'node', '--noEmit', '--skipLibCheck', other], { cwd: folder })
    assert.deepEqual(await run(execPath, [other], { cwd: folder }), {
      stdout: 'E_CONFIG false R_REPLICA null\n',
      stderr: '',
    })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { z } from 'zod'
import { agentsImport } from '../../src/cli/importing.ts'
import { codeOf } from '../../src/core/errors.ts'

const rows = { total: 1, staged: 0, good: 1, bad: 0, registered: 0, unchanged: 0, failed: 0 }

interface Said {
  readonly method: string
  readonly path: string
}

/** Runs the command on a file of one row and a daemon that answers so. */
const imported = async (
  answer: (said: Said, stop: () => void) => { readonly status: number; readonly body?: unknown },
) => {
  const folder = mkdtempSync(join(tmpdir(), 'idp-import-'))
  const file = join(folder, 'agents.csv')
  writeFileSync(file, 'did,name\ndid:agentmesh:a,a\n')
  const stopping = new AbortController()
  const said: string[] = []
  const server = createServer((request, response) => {
    const one = { method: request.method ?? '', path: request.url ?? '' }
    request.resume().on('end', () => {
      said.push(`${one.method} ${one.path}`)
      const { body, status } = answer(one, () => stopping.abort())
      response.writeHead(status, { 'content-type': 'application/json' })
      response.end(body === undefined ? '' : JSON.stringify(body))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = z.custom<AddressInfo>((it) => typeof it === 'object').parse(server.address())
  const err: string[] = []
  const io = {
    env: { IDP_BRIDGE_URL: `http://127.0.0.1:${port}`, IDP_BRIDGE_TOKEN: 'token' },
    out: () => undefined,
    err: (text: string) => err.push(text),
    colour: false,
    stop: stopping.signal,
    onHangup: () => undefined,
    die: () => undefined,
  }
  try {
    const exit = await agentsImport(io, file, {}).catch(codeOf)
    return { exit, said, err: err.join('\n') }
  } finally {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
    rmSync(folder, { recursive: true })
  }
}

const view = (state: string) => ({ id: 'i', state, failure: null, rows })
const usual = ({ method, path }: Said) => {
  if (path.includes('/faults')) return { status: 200, body: { items: [], nextCursor: null } }
  return method === 'DELETE' ? { status: 204 } : { status: 200, body: view('checked') }
}

test('an import that the daemon refuses to apply is not said to go on, and not left behind', async () => {
  const { err, exit, said } = await imported((one) =>
    one.path.endsWith('/apply')
      ? { status: 409, body: { code: 'E_IMPORT_STATE', detail: 'The import is staging.' } }
      : usual(one),
  )
  assert.equal(exit, 64)
  assert.match(err, /E_IMPORT_STATE/)
  assert.doesNotMatch(err, /goes on/)
  assert.equal(said.at(-1), 'DELETE /v1/imports/i')
})

test('an import that is interrupted while it is checked is not left behind', async () => {
  const { exit, said } = await imported((one, stop) => {
    if (one.method !== 'GET') return usual(one)
    // Between two questions.
    setTimeout(stop, 30)
    return { status: 200, body: view('checking') }
  })
  assert.equal(exit, 'E_ABORTED', 'an interruption is no bug')
  assert.equal(said.at(-1), 'DELETE /v1/imports/i')
})

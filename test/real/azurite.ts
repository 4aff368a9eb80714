import { execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execPath } from 'node:process'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { leash } from '../e2e/leash.ts'
import { cacheFolder } from './cache.ts'

const execute = promisify(execFile)
const version = '3.37.0'
const program = join('node_modules', 'azurite', 'dist', 'src', 'queue', 'main.js')

/** Microsoft's own stand-in of Azure Storage: its folder, from the registry once and kept in the user's cache. */
export const installAzurite = async (): Promise<string | { readonly skip: string }> => {
  const folder = cacheFolder(`azurite-${version}`)
  if (existsSync(join(folder, program))) return folder
  mkdirSync(cacheFolder(), { recursive: true })
  const making = mkdtempSync(`${folder}-`)
  try {
    // It needs none of what its packages build or run when they are installed.
    const quiet = ['--ignore-scripts', '--no-audit', '--no-fund', '--no-save', '--loglevel=error']
    await execute('npm', ['install', '--prefix', making, ...quiet, `azurite@${version}`])
    renameSync(making, folder)
  } catch (error) {
    rmSync(making, { recursive: true, force: true })
    // Another run was faster.
    if (existsSync(join(folder, program))) return folder
    if (process.env.CI === 'true') throw error
    return { skip: `azurite could not be installed: ${String(error).trim().split('\n').at(-1)}` }
  }
  return folder
}

export interface Azurite extends AsyncDisposable {
  readonly origin: string
  readonly account: string
  readonly key: string
}

/**
 * Its queue service on a port of its own, in memory.
 * @param tls files of a certificate for localhost; it then takes tokens too
 */
export const startAzurite = async (
  folder: string,
  tls?: { readonly cert: string; readonly key: string },
): Promise<Azurite> => {
  const account = 'contosobells'
  const key = randomBytes(64).toString('base64')
  const place = mkdtempSync(join(tmpdir(), 'idp-azurite-'))
  // The library asks for a version that is newer than what this one lists; it answers as for the last it knows.
  const plain = ['--queueHost', '127.0.0.1', '--queuePort', '0', '--inMemoryPersistence', '--skipApiVersionCheck']
  const secure = tls === undefined ? [] : ['--cert', tls.cert, '--key', tls.key, '--oauth', 'basic']
  const child = spawn(execPath, [join(folder, program), ...plain, '--disableTelemetry', '--silent', ...secure], {
    cwd: place,
    env: { ...process.env, AZURITE_ACCOUNTS: `${account}:${key}` },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  leash(child, place)
  const said: string[] = []
  const { promise, reject, resolve } = Promise.withResolvers<string>()
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      said.push(line)
      if (said.length > 50) said.shift()
      const [, port] = /successfully listens on https?:\/\/127\.0\.0\.1:(\d+)/.exec(line) ?? []
      if (port !== undefined) resolve(port)
    })
  }
  const ended = once(child, 'exit')
  ended.then(() => reject(new Error(`azurite ended: ${said.join('\n')}`)), reject)
  const port = await promise
  return {
    origin: tls === undefined ? `http://127.0.0.1:${port}` : `https://localhost:${port}`,
    account,
    key,
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL')
      await ended
      rmSync(place, { recursive: true, force: true })
    },
  }
}

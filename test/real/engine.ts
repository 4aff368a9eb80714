import { type ExecFileOptionsWithStringEncoding, execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { need } from './tools.ts'

export interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** Podman with a store of its own, which knows no image but those that it is given. */
export interface Engine extends AsyncDisposable {
  /** What a command printed; what it said is in the error when it failed. */
  run(...args: readonly string[]): Promise<string>
  /** The same, whatever its exit code. */
  attempt(...args: readonly string[]): Promise<Ran>
}

const programAt = (name: string) => () =>
  ['/usr/bin', '/usr/sbin', '/usr/local/bin'].map((folder) => join(folder, name)).find((path) => existsSync(path))

const minutes = 60_000
const options: ExecFileOptionsWithStringEncoding = {
  encoding: 'utf8',
  maxBuffer: 256 * 1024 * 1024,
  timeout: 10 * minutes,
}

/** Debian's Podman with runc. */
export const installEngine = (): { readonly podman: string; readonly runc: string } | { readonly skip: string } => {
  const podman = need('Podman', programAt('podman'), 'podman')
  if (typeof podman !== 'string') return podman
  const runc = need('runc', programAt('runc'), 'runc')
  return typeof runc === 'string' ? { podman, runc } : runc
}

/** Needs root, or user namespaces. Podman builds as Buildah does. */
export const openEngine = async (): Promise<Engine | { readonly skip: string }> => {
  const installed = installEngine()
  if ('skip' in installed) return installed
  const { podman, runc } = installed
  const folder = await mkdtemp(join(tmpdir(), 'idp-bridge-podman-'))
  const own = ['--root', join(folder, 'storage'), '--runroot', join(folder, 'run'), '--runtime', runc]
  // There may be no systemd to keep groups of processes, and none to write events for.
  const plain = ['--cgroup-manager', 'cgroupfs', '--events-backend', 'file']
  const attempt: Engine['attempt'] = (...args) =>
    new Promise((resolve, reject) => {
      execFile(podman, [...own, ...plain, ...args], options, (error, out, err) => {
        if (error === null) resolve({ code: 0, out, err })
        else if (typeof error.code === 'number') resolve({ code: error.code, out, err })
        else reject(new Error(`podman ${args.join(' ')}\n${out}${err}`, { cause: error }))
      })
    })
  return {
    attempt,
    run: async (...args) => {
      const { code, out, err } = await attempt(...args)
      if (code !== 0) throw new Error(`podman ${args.join(' ')}: ${code}\n${out}${err}`)
      return out.trim()
    },
    [Symbol.asyncDispose]: async () => {
      await attempt('rm', '--all', '--force', '--time', '0')
      // Without root, the files of a container are of users that only its own name space has.
      if (process.getuid?.() === 0) await rm(folder, { recursive: true, force: true })
      else await attempt('unshare', 'rm', '-rf', folder)
    },
  }
}

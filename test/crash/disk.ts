import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, openSync, rmSync, statfsSync, writeFileSync, writeSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { execPath, platform } from 'node:process'
import { createInterface } from 'node:readline'
import { type Ended, main, startProcess } from '../e2e/process.ts'
import type { Daemon, World } from '../e2e/world.ts'

const mebibyte = 1024 * 1024

/** A file system of its own for the store of a world, small enough to be filled, seen by its processes only. */
export interface Disk extends AsyncDisposable {
  readonly database: string
  daemon(): Promise<Daemon>
  /** Runs a command of `idp-bridge` on it. */
  run(...args: readonly string[]): Promise<Ended>
  /** Takes the last byte. */
  fill(): void
  free(): void
  remount(mode: 'ro' | 'rw'): void
}

const usual = 'unshare(1) with user namespaces and tmpfs is not to be had here'

/** Undefined: the machine does not allow it. */
export const smallDisk = async (world: World, mib = 64): Promise<Disk | undefined> => {
  const folder = join(world.folder, 'disk')
  mkdirSync(folder)
  const script = 'mount -t tmpfs -o size="$1"m none "$2" && echo mounted && exec cat'
  const keeper = spawn('unshare', ['-rm', 'sh', '-c', script, 'sh', `${mib}`, folder], {
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  const ended = new Promise<void>((done) => {
    keeper.once('exit', () => done())
    keeper.once('error', () => done())
  })
  const [line] = await Promise.race([once(createInterface({ input: keeper.stdout }), 'line'), ended.then(() => [''])])
  if (line !== 'mounted' || keeper.pid === undefined) return undefined
  const within = ['nsenter', '-t', `${keeper.pid}`, '-U', '-m', '--preserve-credentials']
  const seen = `/proc/${keeper.pid}/root${folder}`
  const filler = join(seen, 'filler')
  const database = join(folder, 'bridge.db')
  world.configure({ store: { url: `sqlite:${database}` } })
  return {
    database,
    daemon: () => world.attach(startProcess(['run', '--config', world.configFile], { within })),
    run: async (...args) => {
      await using child = startProcess(args, { within })
      return await child.ended(60_000)
    },
    fill: () => {
      const file = openSync(filler, 'a')
      try {
        for (let size = mebibyte; size >= 1; size = Math.floor(size / 2)) {
          try {
            for (;;) writeSync(file, Buffer.alloc(size))
          } catch (error) {
            if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error
          }
        }
      } finally {
        closeSync(file)
      }
      const { bavail } = statfsSync(seen)
      if (bavail !== 0) throw new Error(`${bavail} blocks are left`)
    },
    free: () => rmSync(filler),
    remount: (mode) => {
      const [command = '', ...rest] = [...within, 'mount', '-o', `remount,${mode}`, folder]
      const { status, stderr } = spawnSync(command, rest, { encoding: 'utf8' })
      if (status !== 0) throw new Error(stderr)
    },
    [Symbol.asyncDispose]: async () => {
      keeper.stdin.end()
      await ended
    },
  }
}

export const noSmallDisk = usual

export type Fault = 'none' | 'fsync' | 'full' | 'readonly'

/** A disk whose calls fail on demand. */
export interface Faults {
  readonly env: Readonly<Record<string, string>>
  set(fault: Fault): void
}

export const noFaults = 'a C compiler is not to be had here, or this is not Linux'

/** Undefined: the machine has no compiler for faults.c. */
export const diskFaults = (world: World): Faults | undefined => {
  if (platform !== 'linux') return undefined
  const library = join(world.folder, 'faults.so')
  const source = resolve(import.meta.dirname, 'faults.c')
  const made = spawnSync('cc', ['-shared', '-fPIC', '-O1', '-o', library, source, '-ldl'], { encoding: 'utf8' })
  if (made.error !== undefined) return undefined
  if (made.status !== 0) throw new Error(made.stderr)
  const control = join(world.folder, 'faults')
  const set = (fault: Fault) => writeFileSync(control, fault)
  set('none')
  const probe = spawnSync(execPath, ['--version'], { env: { LD_PRELOAD: library }, encoding: 'utf8' })
  if (probe.status !== 0 || probe.stderr !== '') return undefined
  return { env: { LD_PRELOAD: library, DISK_FAULTS: control }, set }
}

export const faultyDaemon = (world: World, { env }: Faults): Promise<Daemon> =>
  world.attach(startProcess(['run', '--config', world.configFile], { env, program: main }))

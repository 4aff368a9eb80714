import type { Clock } from '../lib/clock.ts'
import { diskFiles, type Files } from '../lib/secret.ts'

export interface WatchOptions {
  readonly clock: Pick<Clock, 'sleep'>
  readonly intervalMs?: number
  readonly files?: Files
  /** Gets what `onChange` throws; the watch goes on. */
  readonly onError: (error: unknown) => void
}

/**
 * Calls `onChange` after the file at `path` changed. It looks every two seconds instead of asking the kernel: an editor's
 * rename, a Kubernetes symbolic-link swap and a network mount all look the same then. A file that is gone is waited for.
 */
export function watchConfig(
  path: string,
  onChange: () => void | Promise<void>,
  { clock, intervalMs = 2000, files = diskFiles, onError }: WatchOptions,
): { close(): Promise<void> } {
  const stop = new AbortController()
  let last = stampOf(files, path)

  const loop = async () => {
    while (!stop.signal.aborted) {
      await clock.sleep(intervalMs, stop.signal)
      const stamp = stampOf(files, path)
      if (stamp === undefined || stamp === last) continue
      last = stamp
      try {
        await onChange()
      } catch (error) {
        onError(error)
      }
    }
  }
  const done = loop().catch((error: unknown) => {
    if (!stop.signal.aborted) onError(error)
  })
  return {
    async close() {
      stop.abort()
      await done
    },
  }
}

function stampOf(files: Files, path: string): string | undefined {
  try {
    return files.stamp(path)
  } catch {
    return undefined
  }
}

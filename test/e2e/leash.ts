import { type ChildProcess, spawn } from 'node:child_process'

/**
 * Ends a child when this process has ended, however that came: a test file that takes too long is killed, and disposes of
 * nothing. Then removes the folder, when one is named.
 */
export const leash = (child: ChildProcess, folder = ''): void => {
  // Its input ends with us. Away from the terminal, as otherwise it is interrupted together with us.
  const watcher = spawn('sh', ['-c', 'read -r _; kill -KILL "$1"; rm -rf -- "$2"', 'sh', `${child.pid}`, folder], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })
  watcher.unref()
  child.once('exit', () => watcher.kill('SIGKILL'))
}

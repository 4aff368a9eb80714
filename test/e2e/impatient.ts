import { copyFileSync } from 'node:fs'
import process from 'node:process'
import { run } from '../../src/cli/run.ts'

/**
 * The daemon, which is told to read its configuration again while it starts: by a hangup, or by another file put in place of
 * the one it has read. `impatient.ts <config> hangup|<other config>`
 */
const [config = '', how = ''] = process.argv.slice(2)
const stopping = new AbortController()
process.on('SIGTERM', () => stopping.abort())

const running = run(
  {
    env: {},
    out: () => undefined,
    err: () => undefined,
    colour: false,
    stop: stopping.signal,
    onHangup: (reload) => void process.on('SIGHUP', reload),
    die: (exit) => process.exit(exit),
  },
  { config },
)
if (how === 'hangup') process.kill(process.pid, 'SIGHUP')
else copyFileSync(how, config)
await running

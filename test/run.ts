/** `npm test`: every test, as many files at once as there are processors; Node by itself leaves one of them idle. Further arguments go to the runner. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import process, { argv, env, execPath } from 'node:process'
import { fileURLToPath } from 'node:url'

const suites =
  'unit,store,contract,adapters,outlets,sandbox,http,engine,property,model,e2e,crash,golden,clients,attack,parity,docs'
/** Every file, and every daemon that one starts, loads the same sources: what is compiled once is kept. */
const compiled = env['NODE_COMPILE_CACHE'] ?? fileURLToPath(new URL('../node_modules/.cache/compiled', import.meta.url))
const runner = spawn(
  execPath,
  [
    '--import',
    './test/seed.ts',
    '--test',
    `--test-concurrency=${availableParallelism()}`,
    '--test-timeout=240000',
    ...argv.slice(2),
    `test/{${suites}}/**/*.test.ts`,
  ],
  { stdio: 'inherit', env: { ...env, NODE_COMPILE_CACHE: compiled } },
)
const [code] = await once(runner, 'exit')
process.exitCode = typeof code === 'number' ? code : 1

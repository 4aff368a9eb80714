/**
 * The daemon of the crash tests: the configuration file is its first argument, the second names a point of the engine at
 * which the process kills itself, as a power cut would, the moment it gets there.
 */
import { argv, env, exit, kill, pid } from 'node:process'
import { configs, loadAdapters } from '../../adapters/index.ts'
import { openOutlet, outletConfigs } from '../../outlets/index.ts'
import { startApp } from '../../src/app.ts'
import { loadConfig } from '../../src/config.ts'
import { exitOf } from '../../src/core/errors.ts'
import { createLogger } from '../../src/lib/log.ts'

const [, , file = '', point = ''] = argv
const log = createLogger()

await startApp({
  config: loadConfig(file, { env, adapterKinds: configs, outletKinds: outletConfigs }),
  loadAdapters,
  openOutlet,
  version: '0.0.0-crash',
  log,
  onFatal: (error) => exit(exitOf(error)),
  probe: (reached) => {
    if (reached === point) kill(pid, 'SIGKILL')
  },
})

import { loadAdapters } from '../../adapters/index.ts'
import { openOutlet } from '../../outlets/index.ts'
import { type App, startApp } from '../app.ts'
import { ConfigError, formatFaults, watchConfig } from '../config.ts'
import { codeOf, exitOf } from '../core/errors.ts'
import { systemClock } from '../lib/clock.ts'
import { createLogger } from '../lib/log.ts'
import { readConfig } from './config.ts'
import type { Io } from './io.ts'
import { version } from './version.ts'

/** The daemon, until it is told to stop. */
export const run = async (io: Io, options: { readonly config?: string }): Promise<void> => {
  const { config, path } = readConfig(io, options.config)
  const log = createLogger({ level: config.log.level })
  const onFatal = (error: unknown): void => {
    log.fatal({ err: error }, 'the store can no longer be trusted: ending; a restart recovers')
    io.die(exitOf(error))
  }
  const { env } = io
  let app: App | undefined
  let asked = false
  // Asked for while it starts, it is done once it has: a hangup that nobody waits for ends a process.
  const reload = async (): Promise<void> => {
    asked = true
    if (app !== undefined) await reloadInto(io, app, path, log)
  }
  io.onHangup(() => void reload())
  await using stack = new AsyncDisposableStack()
  const watch = watchConfig(path, reload, {
    clock: systemClock,
    onError: (error) => log.error({ err: error }, 'watching the configuration failed'),
  })
  stack.defer(() => watch.close())
  app = await startApp({
    config,
    loadAdapters,
    openOutlet,
    version,
    log,
    onFatal,
    env,
    processMetrics: true,
  })
  if (asked) await reload()
  await new Promise<void>((resolve) => {
    if (io.stop.aborted) resolve()
    io.stop.addEventListener('abort', () => resolve(), { once: true })
  })
  log.info('stopping')
  await watch.close()
  await app.stop()
  log.info('stopped')
}

/** A faulty file leaves the old configuration in force, with an alert. */
const reloadInto = async (io: Io, app: App, path: string, log: ReturnType<typeof createLogger>): Promise<void> => {
  try {
    await app.reload(readConfig(io, path).config)
  } catch (error) {
    const faults = error instanceof ConfigError ? formatFaults(error.faults, error.source) : undefined
    app.reloadFailed(`the configuration was not reloaded (${codeOf(error)}); the old one stays in force`)
    log.error({ err: error, faults }, 'the configuration is faulty')
  }
}

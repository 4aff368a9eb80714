import { openStore } from '../store/index.ts'
import { type Migration, migrations } from '../store/migrations.ts'
import { storeVersion } from '../store/version.ts'
import { type Io, paint } from './io.ts'
import { type StoreChoice, storeUrl } from './store.ts'

export interface MigrateOptions extends StoreChoice {
  readonly dryRun?: boolean
  readonly json?: boolean
}

const differs = 2

/**
 * Brings the store to the version of this program, with the daemon stopped, as the daemon would at its start: after a copy
 * beside it, all or nothing. With `dryRun` it only says whether there is something to do.
 * @param steps others than the shipped ones, for tests
 * @returns 0, or 2 when a dry run found something to do
 */
export const migrate = async (
  io: Io,
  options: MigrateOptions,
  steps: readonly Migration[] = migrations,
): Promise<number> => {
  const url = storeUrl(io, options)
  const { known, path, version } = storeVersion(url, steps)
  const { green, yellow } = paint(io)
  const told = { store: path, from: version, to: known }
  if (options.dryRun) {
    const isCurrent = version === known
    if (options.json) io.out(JSON.stringify({ ...told, current: isCurrent }))
    else
      io.out(
        isCurrent
          ? `${green('current')} ${path}: version ${known}`
          : `${yellow('older')} ${path}: version ${version}, this program makes it ${known}`,
      )
    return isCurrent ? 0 : differs
  }
  const store = await openStore({ url, now: Date.now, migrations: steps })
  try {
    const backup = store.migratedFrom
    if (options.json) io.out(JSON.stringify({ ...told, backup: backup ?? null }))
    else if (backup === undefined) io.out(`${green('current')} ${path}: version ${known}, nothing was changed`)
    else {
      io.out(`${green('migrated')} ${path}: from version ${version} to ${known}`)
      io.out(`what it was before is in ${backup}`)
    }
  } finally {
    await store.close()
  }
  return 0
}

import { backupStore } from '../store/copying.ts'
import { type Io, paint } from './io.ts'
import { progressOn, requireChain, type StoreChoice, storeUrl } from './store.ts'

export interface BackupOptions extends StoreChoice {
  readonly force?: boolean
  readonly json?: boolean
}

/** A checked copy of the store, beside a running daemon or without one. */
export const backup = async (io: Io, file: string, options: BackupOptions): Promise<void> => {
  const taken = await backupStore({
    url: storeUrl(io, options),
    file,
    force: options.force ?? false,
    now: Date.now,
    progress: progressOn(io),
    verify: requireChain,
  })
  const at = new Date(taken.at).toISOString()
  if (options.json) io.out(JSON.stringify({ ok: true, file: taken.file, at, entries: taken.seq, head: taken.hash }))
  else {
    io.out(`${paint(io).green('ok')} ${taken.file}: as of ${at}, ${taken.seq} audit entries, head ${taken.hash}`)
    io.out('the file is sound and its audit chain holds')
  }
}

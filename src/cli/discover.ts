import { type Answer, refused, type Where, withDaemon } from './client.ts'
import { outFormat, writeRows } from './discovered.ts'
import { usage } from './files.ts'
import { type Findings, findingsOf, type Unmapped } from './findings.ts'
import { type Io, paint } from './io.ts'
import { requireFree } from './outfile.ts'
import { progressOf } from './progress.ts'
import { counted, table } from './table.ts'

export interface DiscoverOptions extends Where {
  readonly out?: string
  readonly force?: boolean
  readonly only?: string
  readonly all?: boolean
  readonly json?: boolean
}

const isFindings = (found: Findings | Answer): found is Findings => 'unmapped' in found

/**
 * What is in a directory and in no registration, and the other way round; with `--out` a file that `agents import` takes once
 * a person has said whose each account is. Returns the exit code.
 */
export const discover = (io: Io, adapter: string, options: DiscoverOptions): Promise<number> => {
  const { all, force = false, only, out } = options
  if (only !== undefined && only !== 'unmapped' && only !== 'gone')
    throw usage(`There is no finding ${only}.`, 'Use --only unmapped or --only gone.')
  if (out !== undefined && only === 'gone')
    throw usage('Accounts that are gone cannot be imported.', 'Leave --out or --only gone away.')
  if (out !== undefined) {
    outFormat(out)
    requireFree(out, force)
  }
  return withDaemon(io, options, async (daemon) => {
    const query = { ...(only !== undefined && { only }), ...(all === true && { all: 'true' }) }
    const found = await findingsOf(daemon, adapter, query, progressOf(io, 'looked at')).finally(() => io.progress?.(''))
    if (!isFindings(found)) return refused(io, found, out === undefined ? undefined : 'Nothing was written.')
    const isWritten = out !== undefined && found.unmapped.length > 0
    if (isWritten) await writeRows(io, out, adapter, found.unmapped, force)
    if (options.json) io.out(JSON.stringify({ adapter, ...found, file: isWritten ? out : null }, null, 2))
    else tell(io, found, isWritten ? out : undefined)
    // Whoever could not be read may be gone: the list is not whole.
    return found.unread > 0 ? 75 : 0
  })
}

const noteOf = ({ replaces, suggested }: Unmapped): string => {
  const [first, ...more] = replaces
  if (first !== undefined) {
    const others = more.length === 0 ? '' : ` and ${more.length} more`
    return `a new account: ${first.did}${others} had one of this name, ${first.id}, which is gone`
  }
  return suggested === null ? '-' : `${suggested.did}? (${suggested.by})`
}

const tell = (io: Io, { gone, looked, passedOver, unmapped, unread }: Findings, file: string | undefined): void => {
  const { bold, dim, green, red, yellow } = paint(io)
  if (unmapped.length > 0) {
    io.out(bold(`${counted(unmapped.length, 'account')} that no DID maps`))
    table(
      io,
      ['ACCOUNT', 'KIND', 'NAME', 'STATE', 'DID'],
      unmapped.map((one) => [one.id, one.kind, one.name, one.state, noteOf(one)]),
    )
  }
  if (gone.length > 0) {
    if (unmapped.length > 0) io.out('')
    io.out(bold(red(`${counted(gone.length, 'DID')} whose account is gone`)))
    table(
      io,
      ['DID', 'AGENT', 'ACCOUNT', 'KIND'],
      gone.map((one) => [one.did, one.name, one.id, one.kind]),
    )
  }
  if (unmapped.length === 0 && gone.length === 0) io.out(`${green('ok')}: nothing was found`)
  if (file !== undefined) {
    io.out('')
    io.out(`${green('written')}: ${file}. Write the DID of each agent into it, or take the row out; then`)
    io.out(`  idp-bridge agents import ${file} --dry-run`)
  }
  io.err(dim(`looked at ${counted(looked, 'account')}`))
  if (passedOver > 0) io.err(`${passedOver} more that nothing says to be an agent's are left out: --all lists them.`)
  if (unread > 0) {
    io.err(yellow(`${unread} mapped accounts could not be read: whether they are there is not known. Repeat it later.`))
  }
}

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { execPath } from 'node:process'
import { finished } from 'node:stream/promises'
import { main } from '../e2e/process.ts'
import { startWorld, tokenOf } from '../e2e/world.ts'
import { type Row, secondsOf, whole } from './figures.ts'

export interface ImportBench {
  readonly rows: number
  /** Until the command ended, the check and the staging included. */
  readonly seconds: number
  /** The same file once more, with every agent there already. */
  readonly againSeconds: number
  /** The most each process ever held, MiB. */
  readonly commandMiB: number
  readonly daemonMiB: { readonly before: number; readonly after: number }
  readonly requests: number
}

const never = '0 0 1 1 *'

/** The most memory a process of ours ever held, as Linux tells it. */
const peakMiB = (pid: number): number => {
  const found = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  // Between its end and our hearing of it a process has no memory.
  return Math.round(Number(found ?? 0) / 1024)
}

/** A file of agents with an account each, a tenth of them parents of the others, imported by the command itself. */
export const benchImport = async (rows: number): Promise<ImportBench> => {
  await using world = await startWorld({
    adapters: { contoso: { sync: { accounts: never, groups: never, full: never } } },
  })
  const { contoso, folder, tenant } = world
  const file = join(folder, 'agents.csv')
  const out = createWriteStream(file)
  out.write('did,name,sponsor.email,labels.unit,capabilities,parentDid,principal.adapter,principal.id,principal.kind\n')
  const roots = Math.ceil(rows / 10)
  for (let n = 0; n < rows; n++) {
    const id = tenant.addAgentIdentity({ displayName: `fleet-${n}`, blueprintAppId: contoso.blueprint.appId })
    const parent = n < roots ? '' : `did:agentmesh:fleet:${n % roots}`
    const line = `did:agentmesh:fleet:${n},agent ${n},alice@contoso.com,payments,read:x,${parent},contoso,${id},agentIdentity\n`
    if (!out.write(line)) await once(out, 'drain')
  }
  out.end()
  await finished(out)
  tenant.settle()
  await using daemon = await world.daemon()
  const { pid } = daemon.process
  const before = peakMiB(pid)
  tenant.clearRequests()

  let commandMiB = 0
  const env = { IDP_BRIDGE_URL: daemon.origin, IDP_BRIDGE_TOKEN: tokenOf('registrar') }
  const run = async (): Promise<void> => {
    const child: ChildProcess = spawn(execPath, [main, 'agents', 'import', file], {
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const text: string[] = []
    child.stdout?.on('data', (chunk: Buffer) => text.push(chunk.toString('utf8')))
    const look = setInterval(() => {
      if (child.pid !== undefined && child.exitCode === null) commandMiB = Math.max(commandMiB, peakMiB(child.pid))
    }, 200)
    await once(child, 'exit')
    clearInterval(look)
    if (child.exitCode !== 0) throw new Error(`the import failed: ${text.join('')}`)
  }
  const seconds = await secondsOf(run)
  const requests = tenant.requests.length
  const againSeconds = await secondsOf(run)
  return { rows, seconds, againSeconds, commandMiB, daemonMiB: { before, after: peakMiB(pid) }, requests }
}

export const importRows = ({
  againSeconds,
  commandMiB,
  daemonMiB,
  requests,
  rows,
  seconds,
}: ImportBench): readonly Row[] => [
  [
    `import of ${whole(rows)} agents by the command`,
    `${seconds.toFixed(1)} s: ${whole(rows / seconds)} rows/s; the same file again ${againSeconds.toFixed(1)} s`,
  ],
  ['… the most memory of the command', `${whole(commandMiB)} MiB`],
  ['… of the daemon, before and after', `${whole(daemonMiB.before)} and ${whole(daemonMiB.after)} MiB`],
  ['… requests to the directory', whole(requests)],
]

import type { Finding } from '../core/adapter.ts'
import { BridgeError } from '../core/errors.ts'
import { pausedKey } from './context.ts'
import type { Deps, Mount } from './deps.ts'
import type { Diagnosis, DoctorFinding, DoctorHost, Doctors } from './doctorapi.ts'
import { queueFinding, subscriptionFindings } from './doctorbells.ts'
import { hookFindings } from './doctorhooks.ts'
import { linkFinding } from './following.ts'
import { namedMount } from './mounts.ts'
import type { Runner } from './runner.ts'
import { kidOfKey } from './signing.ts'

/** Whoever asks waits no longer: a directory that does not answer is found not to. */
const timeoutMs = 40_000
const mebibyte = 1024 * 1024
/** The store refuses writes at half of it. */
const leastFree = 64 * mebibyte
const littleFree = 512 * mebibyte

export const createDoctor = (
  deps: Deps,
  host: DoctorHost | undefined,
  runner: (adapter: string) => Pick<Runner, 'queue'> | undefined,
): Doctors => {
  const looking = new Map<string, Promise<Diagnosis>>()

  const look = async (mounts: readonly Mount[], whole: boolean): Promise<Diagnosis> => {
    const apart = (what: string, part: Promise<DoctorFinding[]>, unknown?: BridgeError) =>
      part.catch((error) => about(what, [failed(deps, what, error, unknown)]))
    const hooked = mounts.filter(({ adapter }) => adapter.hooks !== undefined)
    const parts = await Promise.all([
      ...(whole
        ? [ofStore(deps, host), apart('disk', ofDisk(host), noRoom()), apart('keys', ofKeys(host)), ofDaemon(deps)]
        : []),
      ...mounts.map((mount) => {
        const { name } = mount.adapter
        return apart(`adapter:${name}`, ofDirectory(mount, runner(name)))
      }),
      ...hooked.map(({ adapter }) => apart(`hook:${adapter.name}`, ofHook(host, adapter.name, deps.newId()))),
    ])
    const findings = parts.flat()
    return { ok: findings.every(({ level }) => level !== 'error'), at: deps.clock.now(), findings }
  }

  return {
    async doctor(name) {
      const one = name === undefined ? undefined : namedMount(deps, name)
      const key = name ?? ''
      const begun =
        looking.get(key) ??
        look(one === undefined ? [...deps.mounts().values()] : [one], one === undefined).finally(() =>
          looking.delete(key),
        )
      looking.set(key, begun)
      return begun
    },
  }
}

const about = (what: string, findings: readonly Finding[]): DoctorFinding[] =>
  findings.map((finding) => ({ about: what, ...finding }))

/** What one place answers with a failure is a finding about that place; the others are looked at all the same. */
const failed = (
  { log }: Pick<Deps, 'log'>,
  what: string,
  error: unknown,
  unknown = new BridgeError('E_BUG', 'Looking at it failed.'),
): Finding => {
  log.warn({ err: error, about: what }, 'what a doctor looked at failed')
  const { code, hint, message } = error instanceof BridgeError ? error : unknown
  return { code, level: 'error', text: message, ...(hint !== undefined && { mend: hint }) }
}

const fine = (text: string): Finding => ({ code: 'ok', level: 'ok', text })

const ofDirectory = async (mount: Mount, runner: Pick<Runner, 'queue'> | undefined): Promise<DoctorFinding[]> => {
  const { adapter } = mount
  const link = linkFinding(mount)
  const signal = AbortSignal.timeout(timeoutMs)
  const findings = await adapter.check(signal)
  const late: Finding = {
    code: 'timeout',
    level: 'error',
    text: `looking at the directory took more than ${timeoutMs / 1000} s: the rest was not looked at`,
    mend: 'see GET /v1/status for its throttling, and ask for it alone: idp-bridge doctor --adapter <name>',
  }
  return about(`adapter:${adapter.name}`, [
    ...(link ? [link] : []),
    ...findings,
    ...subscriptionFindings(adapter.tending?.subscriptions() ?? []),
    ...(runner?.queue ? [queueFinding(runner.queue.state())] : []),
    ...(signal.aborted ? [late] : []),
  ])
}

const ofStore = async (deps: Deps, host: DoctorHost | undefined): Promise<DoctorFinding[]> => {
  const odd = (host?.warnings ?? []).map((text): Finding => ({ code: 'store-place', level: 'warning', text }))
  const written = await deps.store.ping().then(
    () => fine('writing to the store, under the lease of this process'),
    (error) => failed(deps, 'store', error, new BridgeError('E_STORE', 'The store failed.')),
  )
  return about('store', [written, ...odd])
}

const noRoom = () =>
  new BridgeError('E_STORE', 'The disk of the store does not say how much room it has.', {
    hint: 'let the user of the bridge into the folder of the store, and see what the system logged about the disk',
  })

const ofDisk = async (host: DoctorHost | undefined): Promise<DoctorFinding[]> => {
  if (host === undefined) return []
  const { free, total, used } = await host.room()
  const text = `${mebibytes(free)} of ${mebibytes(total)} free beside the store of ${mebibytes(used)}`
  const mend = 'free space on the disk of the store, or enlarge its volume'
  if (free < leastFree) return about('disk', [{ code: 'disk', level: 'error', text, mend }])
  // An upgrade copies the store first.
  if (free < Math.max(littleFree, used)) return about('disk', [{ code: 'disk', level: 'warning', text, mend }])
  return about('disk', [fine(text)])
}

const mebibytes = (bytes: number): string => `${Math.floor(bytes / mebibyte)} MiB`

const ofHook = async (host: DoctorHost | undefined, name: string, id: string): Promise<DoctorFinding[]> =>
  host === undefined ? [] : about(`hook:${name}`, await hookFindings(host, name, id))

const ofKeys = async (host: DoctorHost | undefined): Promise<DoctorFinding[]> => {
  if (host === undefined) return []
  const keys = host.signingKeys()
  if (keys.length === 0) {
    const text = 'no key signs: receipts and heads of the audit log prove nothing to others'
    const mend = 'openssl genpkey -algorithm ed25519 -out ed25519.pem, and name the file in signing.keys'
    return about('keys', [{ code: 'no-signing-key', level: 'warning', text, mend }])
  }
  return about(
    'keys',
    keys.map((key, at) => {
      const text = `reading signing key ${at + 1} of ${keys.length}`
      return isUsable(key) ? fine(text) : { code: 'signing-key', level: 'error', text: `${text}: failed`, mend: unread }
    }),
  )
}

const unread = 'see that the file of signing.keys is a PEM of an Ed25519 key that the user of the bridge may read'

const isUsable = (key: Parameters<typeof kidOfKey>[0]): boolean => {
  try {
    return kidOfKey(key) !== undefined
  } catch {
    return false
  }
}

const ofDaemon = async (deps: Deps): Promise<DoctorFinding[]> => {
  const findings: DoctorFinding[] = []
  if (deps.isClockDoubted()) {
    const text = 'the clock of this host jumped: nothing expires or resumes until each directory was read whole'
    const mend = 'synchronise it (NTP): chronyc tracking; the reading goes on by itself'
    findings.push({ about: 'clock', code: 'clock-jump', level: 'warning', text, mend })
  }
  const isPaused = await deps.store.meta(pausedKey).catch(() => undefined)
  if (isPaused !== undefined) {
    const text = 'writes to directories are paused: no account is switched'
    const mend = 'POST /v1/pause {"paused": false, "reason": "…"} (role operator)'
    findings.push({ about: 'writes', code: 'paused', level: 'warning', text, mend })
  }
  return findings
}

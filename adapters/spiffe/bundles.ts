import type { Claims, IssuerKeys } from '../../src/core/adapter.ts'
import { BridgeError } from '../../src/core/errors.ts'
import type { Clock } from '../../src/lib/clock.ts'
import { fits, type KeySet, onlyKey } from '../../src/lib/jwkset.ts'
import type { Logger } from '../../src/lib/log.ts'
import type { Bundle } from './bundle.ts'

/** Reads the bundle of one trust domain now. `before`: the keys so far, of which those that stay are the same objects. */
export type ReadBundle = (before: KeySet, signal: AbortSignal) => Promise<Bundle>

/** The bundle of one trust domain, kept as fresh as it asks to be. */
export interface BundleKeeper extends IssuerKeys {
  /** The bundle in force, read first when it is due. @throws BridgeError E_JWKS_DOWN when there is none that may be used */
  present(signal?: AbortSignal): Promise<Bundle>
  /** Reads it now. @throws BridgeError E_JWKS_DOWN */
  refresh(): Promise<void>
}

/** SPIFFE Trust Domain and Bundle §4.1.2: without a hint about every five minutes. */
const HINT_MS = 300_000
/** What SPIRE does with hints of its peers, and the limits within which they are believed here. */
const MIN_HINT_MS = 60_000
const MAX_HINT_MS = 3_600_000
/** After a failure. */
const AGAIN_MS = 10_000
/** A token can cause no more reads than that: new keys are published long before they sign. */
const UNKNOWN_KID_MS = 300_000
/** Of one read: a decision may wait for it. */
const TIMEOUT_MS = 5000
/** Older than that nothing is believed. */
const CEILING_MS = 86_400_000

export interface KeeperParts {
  readonly trustDomain: string
  readonly read: ReadBundle
  /** Changes with a file that can be looked at each time: what is in it is then in force at once. */
  readonly stamp?: (() => string | undefined) | undefined
  readonly clock: Pick<Clock, 'mono'>
  readonly log: Pick<Logger, 'warn'>
  readonly closed: AbortSignal
}

/**
 * Unlike a key set of an OpenID provider, an empty bundle is believed at once: it says that nobody of the domain is to be
 * trusted. A bundle with a lower sequence number than the one in force is an old copy and changes nothing.
 */
export function openBundle({
  trustDomain,
  read,
  stamp = () => undefined,
  clock,
  log,
  closed,
}: KeeperParts): BundleKeeper {
  let bundle: Bundle | undefined
  let readAt = 0
  let triedAt: number | undefined
  let unknownAt: number | undefined
  let stampRead: string | undefined
  let failure: unknown
  let reading: Promise<void> | undefined

  const age = () => clock.mono() - readAt
  const hint = () => Math.min(MAX_HINT_MS, Math.max(MIN_HINT_MS, bundle?.refreshHintMs ?? HINT_MS))
  const down = () =>
    new BridgeError('E_JWKS_DOWN', 'The signing keys of the issuer cannot be read now.', {
      cause: failure,
      retryAfterMs: AGAIN_MS,
      hint: 'The log of the bridge says why ("a trust bundle was not read"): see that its source answers.',
    })

  const load = async (): Promise<void> => {
    triedAt = clock.mono()
    // Before the file is read: what is written meanwhile is seen the next time.
    stampRead = stamp()
    try {
      const next = await read(bundle?.keys ?? new Map(), AbortSignal.any([closed, AbortSignal.timeout(TIMEOUT_MS)]))
      if ((next.sequence ?? 0) < (bundle?.sequence ?? 0) && next.sequence !== undefined)
        throw new Error(`its sequence number ${next.sequence} is below ${bundle?.sequence}`)
      bundle = next
      readAt = triedAt
      failure = undefined
    } catch (error) {
      failure = error
      if (!closed.aborted) log.warn({ err: error, trustDomain }, 'a trust bundle was not read')
      throw down()
    }
  }
  const loadOnce = (): Promise<void> => {
    reading ??= load().finally(() => {
      reading = undefined
    })
    return reading
  }
  const hasChanged = () => stamp() !== stampRead
  const mayTry = () => triedAt === undefined || clock.mono() - triedAt >= AGAIN_MS

  let told: { readonly of: KeySet; readonly text: string; readonly keys: readonly Claims[] } | undefined
  const published = (): readonly Claims[] | undefined => {
    if (closed.aborted || !bundle || age() >= CEILING_MS) return undefined
    if (told?.of === bundle.keys) return told.keys
    const keys = [...bundle.keys.values()].flat().map(({ jwk, kid }) => ({ ...jwk, kid }))
    const text = JSON.stringify(keys)
    told = { of: bundle.keys, text, keys: told?.text === text ? told.keys : keys }
    return told.keys
  }

  const present = async (): Promise<Bundle> => {
    if (closed.aborted) throw down()
    const isNew = hasChanged()
    const isDue = !bundle || age() >= hint()
    if (isNew || (isDue && (reading || mayTry()))) {
      const loaded = loadOnce().catch(() => undefined)
      // A little late is as good, and nobody waits; after a pause it could be long out of date.
      if (!bundle || isNew || age() >= 2 * hint()) await loaded
    }
    if (!bundle || age() >= CEILING_MS) throw down()
    return bundle
  }

  return {
    present,
    async refresh() {
      if (closed.aborted) throw down()
      await loadOnce()
    },
    async key({ alg, kid }) {
      let { keys } = await present()
      const isNew = unknownAt === undefined || clock.mono() - unknownAt >= UNKNOWN_KID_MS
      if (!keys.has(kid) && keys.size > 0 && (reading || (isNew && mayTry()))) {
        unknownAt = clock.mono()
        await loadOnce().catch(() => undefined)
        keys = (await present()).keys
      }
      if (keys.get(kid)?.some((key) => fits(key, alg))) return onlyKey(keys, { alg, kid })
      // A key that a failing source may have published since is neither good nor bad.
      if (failure !== undefined && keys.size > 0 && !keys.has(kid)) throw down()
      return undefined
    },
    published() {
      present().catch(() => undefined)
      return published()
    },
    version: () =>
      bundle && failure === undefined && age() < hint() && !hasChanged() && !closed.aborted ? bundle.keys : undefined,
  }
}

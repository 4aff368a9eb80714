import type { Adapter } from '../../src/core/adapter.ts'
import { asFetch } from '../../src/lib/fetchshapes.ts'
import type { AdapterDeps } from '../deps.ts'
import { learning, openManaged } from '../managed.ts'
import { Owed } from '../owed.ts'
import { ServerTime } from '../servertime.ts'
import { Slots } from '../slots.ts'
import { BATCH, openSwitcher } from './accounts.ts'
import { openApi } from './api.ts'
import { openLog } from './audit.ts'
import { check } from './check.ts'
import type { OktaConfig } from './config.ts'
import { openCredential } from './credential.ts'
import { openDiscovery } from './discover.ts'
import { openDoctor, scopesOf } from './doctor.ts'
import { openFeed } from './feed.ts'
import { openGroups } from './groups.ts'
import { openHooks } from './hooks.ts'
import { idFault } from './ids.ts'
import { ceilingsOf, Limits } from './limits.ts'
import { logoutIssuers, openEmails, openLogout } from './logout.ts'
import { openReader } from './lookup.ts'
import { openOperations, WAIT_MS } from './operations.ts'
import { openSelf } from './self.ts'
import { openSessions } from './sessions.ts'
import { identify, issuersOf } from './tokens.ts'

export { type OktaConfig, oktaConfig } from './config.ts'

/** From the call to the last byte of the answer. */
const API_LIMITS = { timeoutMs: 30_000, maxBytes: 16 * 1024 * 1024 }
const LOGIN_LIMITS = { timeoutMs: 15_000, maxBytes: 512 * 1024 }

/** One Okta org through its management API. Opens no connection. */
export function open(name: string, config: OktaConfig, deps: AdapterDeps): Adapter {
  const { outbound, clock, log, random } = deps
  const { orgUrl } = config
  const { kinds } = config.manage
  const closed = new AbortController()

  const time = new ServerTime(clock)
  const loginFetch = outbound.origin([orgUrl], LOGIN_LIMITS)
  const credential = openCredential({ config, scopes: scopesOf(config), fetch: loginFetch, clock, time })
  const api = openApi({
    origin: orgUrl,
    fetch: outbound.origin([orgUrl], API_LIMITS),
    credential,
    clock,
    time,
    random,
    slots: new Slots(ceilingsOf(config.limits.concurrency)),
    limits: new Limits(clock, config.limits.share / 100),
    owed: new Owed(clock),
  })
  const self = openSelf(api, credential)
  const managed = openManaged({
    name,
    config,
    groups: openGroups(api, 'suspend'),
    idFault,
    self: () => [self.known()?.id],
    clock,
    log,
    closed: closed.signal,
  })
  const { vet, learn } = managed
  const operations = openOperations(api, clock)
  const reader = openReader({ api, clock, log, operations })
  const feed = openFeed({ api, clock, log, kinds, hooks: config.hooks.eventHook !== undefined })
  const ready = async (signal: AbortSignal) => {
    await self.learn(signal)
    await managed.ready(signal)
  }
  /** Whoever is registered is read first, and by then it must be known who may not be. */
  const lookup: Adapter['lookup'] = async (refs, signal) => {
    await self.learn(signal).catch(() => undefined)
    return reader.lookup(refs, signal)
  }
  const sessions = openSessions({ api, clock, log, random, closed: closed.signal })
  const switcher = openSwitcher({ api, clock, operations, sessions, vet, learn, ready })

  const keyFetch = asFetch(loginFetch, closed.signal)
  const { eventHook, universalLogout } = config.hooks
  const origins = [...new Set([orgUrl, ...(config.tokens?.issuerOrigins ?? [])])]
  const logout =
    universalLogout &&
    openLogout({
      config: universalLogout,
      issuers: logoutIssuers(origins, orgUrl, universalLogout.audience, keyFetch),
      keys: (issuer) => deps.keys(issuer.jwksUri, issuer.fetch),
      clock,
      usersByEmail: openEmails(api),
    })

  return {
    name,
    kind: 'okta',
    realm: new URL(orgUrl).host,
    issuers: config.tokens ? issuersOf(config.tokens, orgUrl, keyFetch) : [],
    identify: (claims) => identify(claims, config.tokens?.clients ?? {}),
    identity: { clients: config.tokens?.clients ?? {} },
    vet,
    ...learning(managed, { changes: feed.changes, lookup }, log),
    groups: openGroups(api, 'sync'),
    accounts: {
      disable: switcher.disable,
      enable: switcher.enable,
      batch: BATCH,
      // An AI agent is switched by an operation that goes on after its request was answered.
      writeTimeoutMs: API_LIMITS.timeoutMs + (kinds.includes('aiAgent') ? WAIT_MS : 0),
      log: openLog({ api, clock, kinds, settleMs: config.settle, self: self.learn }),
    },
    ...(eventHook || logout ? { hooks: openHooks({ config: eventHook, origins, logout }) } : {}),
    doctor: openDoctor({ config, api, credential }),
    discovery: openDiscovery({ api, manage: config.manage, managed, self: self.learn }),
    check: (signal) => check({ config, api, credential, self }, signal),
    async close() {
      closed.abort()
      credential.close()
    },
  }
}

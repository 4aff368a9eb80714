import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freshAccount } from '../../src/core/account.ts'
import type { Schedule, Store } from '../../src/core/store.ts'
import type { Account, Agent, Hold, Principal } from '../../src/core/types.ts'

export const account = (fields: Partial<Account> = {}): Account => ({
  ...freshAccount,
  ...fields,
})

export const agent = (did: string, fields: Partial<Agent> = {}): Agent => ({
  did,
  name: `agent ${did}`,
  sponsor: undefined,
  blueprint: undefined,
  parentDid: undefined,
  labels: {},
  decommissioned: false,
  createdAt: 1,
  updatedAt: 1,
  revision: 1,
  lastActivity: undefined,
  resumedAt: undefined,
  ...fields,
})

export const principal = (did: string, id: string, fields: Partial<Principal> = {}): Principal => ({
  adapter: 'contoso',
  id,
  did,
  shared: false,
  kind: 'agentIdentity',
  appId: undefined,
  scopes: [],
  mappedAt: 1,
  account: account(),
  ...fields,
})

export const hold = (id: string, did: string, fields: Partial<Hold> = {}): Hold => ({
  id,
  did,
  origin: 'operator:soc',
  severity: 'suspend',
  reason: 'because',
  publicReason: undefined,
  actor: 'soc',
  onBehalfOf: undefined,
  placedAt: 10,
  releasedAt: undefined,
  releasableAt: undefined,
  guarded: false,
  evidence: {},
  ...fields,
})

export const idle: Schedule = { nextAt: undefined, lane: 1 }

export const register = (store: Store, did: string, ids: readonly string[] = [], fields: Partial<Agent> = {}) =>
  store.write(async (tx) => {
    await tx.insertAgent(agent(did, fields))
    for (const id of ids) await tx.insertPrincipal(principal(did, id), idle)
  })

export const place = (store: Store, ...holds: readonly Hold[]) =>
  store.write(async (tx) => {
    for (const each of holds) await tx.insertHold(each)
  })

/** A directory that goes with the test. */
export const directory = () => {
  const path = mkdtempSync(join(tmpdir(), 'store-'))
  return { path, file: join(path, 'bridge.db'), [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) }
}

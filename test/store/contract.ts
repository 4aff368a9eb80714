import { describe, test } from 'node:test'
import type { Store } from '../../src/core/store.ts'
import { agentContract } from './agents.ts'
import { auditContract } from './audit.ts'
import { blueprintContract } from './blueprints.ts'
import { bulkContract } from './bulk.ts'
import { delegationContract } from './delegations.ts'
import { discoveryContract } from './discovery.ts'
import { endingContract } from './endings.ts'
import { guardContract } from './guard.ts'
import { holdContract } from './holds.ts'
import { importContract } from './imports.ts'
import { nameContract } from './names.ts'
import { outletContract } from './outlets.ts'
import { principalContract } from './principals.ts'
import { propertyContract } from './properties.ts'
import { receiptContract } from './receipts.ts'
import { recordContract } from './records.ts'
import { replicaContract } from './replica.ts'
import { sharerContract } from './sharers.ts'
import { statusContract } from './statusplaces.ts'
import { toolServerContract } from './toolservers.ts'
import { transactionContract } from './transactions.ts'
import { trustContract } from './trust.ts'

/** One open store of its own. `reopen` closes it and opens it again, as a restart does. */
export interface Opened {
  readonly store: Store
  reopen(): Promise<Store>
  dispose(): Promise<void>
}

/** A test of the suite, with a store of its own. */
export type StoreTest = (name: string, run: (store: Store, opened: Opened) => Promise<void>) => void

/** What every store promises, whatever database is behind it. */
export const storeContract = (name: string, open: () => Promise<Opened>): void => {
  const storeTest: StoreTest = (title, run) => {
    test(title, async () => {
      const opened = await open()
      try {
        await run(opened.store, opened)
      } finally {
        await opened.dispose()
      }
    })
  }
  describe(`${name} store: agents`, () => agentContract(storeTest))
  describe(`${name} store: principals`, () => principalContract(storeTest))
  describe(`${name} store: discovery`, () => discoveryContract(storeTest))
  describe(`${name} store: shared principals`, () => sharerContract(storeTest))
  describe(`${name} store: holds`, () => holdContract(storeTest))
  describe(`${name} store: keys and aliases`, () => nameContract(storeTest))
  describe(`${name} store: signals and records`, () => recordContract(storeTest))
  describe(`${name} store: outlets`, () => outletContract(storeTest))
  describe(`${name} store: receipts`, () => receiptContract(storeTest))
  describe(`${name} store: guard`, () => guardContract(storeTest))
  describe(`${name} store: audit`, () => auditContract(storeTest))
  describe(`${name} store: sets and kills of many`, () => bulkContract(storeTest))
  describe(`${name} store: holds that end as a set`, () => endingContract(storeTest))
  describe(`${name} store: trust scores`, () => trustContract(storeTest))
  describe(`${name} store: places in status lists`, () => statusContract(storeTest))
  describe(`${name} store: blueprints`, () => blueprintContract(storeTest))
  describe(`${name} store: delegations`, () => delegationContract(storeTest))
  describe(`${name} store: imports`, () => importContract(storeTest))
  describe(`${name} store: tool servers`, () => toolServerContract(storeTest))
  describe(`${name} store: replicas`, () => replicaContract(storeTest))
  describe(`${name} store: transactions`, () => transactionContract(storeTest))
  describe(`${name} store: properties`, () => propertyContract(storeTest))
}

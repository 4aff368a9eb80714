import type { StoreReads } from '../core/store.ts'
import { agentReads } from './agents.ts'
import { aliasReads } from './aliases.ts'
import { auditReads } from './audit.ts'
import { blueprintReads } from './blueprints.ts'
import { bulkReads } from './bulk.ts'
import { checkpointReads } from './checkpoint.ts'
import { delegationReads } from './delegations.ts'
import { discoveryReads } from './discovery.ts'
import { endReads } from './endings.ts'
import { guardReads } from './guard.ts'
import { holdReads } from './holds.ts'
import { importReads } from './imports.ts'
import { keyReads } from './keys.ts'
import { outletReads } from './outlets.ts'
import { planReads } from './plans.ts'
import { principalReads } from './principals.ts'
import { receiptReads } from './receipts.ts'
import { replicaReads } from './replica.ts'
import { sharerReads } from './sharers.ts'
import { signalReads } from './signals.ts'
import { sourceReads } from './sources.ts'
import type { Run } from './statement.ts'
import { statusReads } from './statusplaces.ts'
import { toolServerReads } from './toolservers.ts'
import { trustReads } from './trust.ts'

/** Every read of the port, on one connection. */
export const reads = (run: Run): StoreReads => ({
  ...agentReads(run),
  ...keyReads(run),
  ...aliasReads(run),
  ...principalReads(run),
  ...sharerReads(run),
  ...holdReads(run),
  ...signalReads(run),
  ...sourceReads(run),
  ...guardReads(run),
  ...auditReads(run),
  ...checkpointReads(run),
  ...receiptReads(run),
  ...bulkReads(run),
  ...endReads(run),
  ...trustReads(run),
  ...statusReads(run),
  ...blueprintReads(run),
  ...toolServerReads(run),
  ...delegationReads(run),
  ...replicaReads(run),
  ...outletReads(run),
  ...importReads(run),
  ...planReads(run),
  ...discoveryReads(run),
})

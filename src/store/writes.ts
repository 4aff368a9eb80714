import { sql } from 'kysely'
import { BridgeError, type ErrorCode } from '../core/errors.ts'
import type { Lane, StoreTx } from '../core/store.ts'
import type { Agent, PrincipalKey } from '../core/types.ts'
import { aliasWrites } from './aliases.ts'
import { append } from './audit.ts'
import { blueprintWrites } from './blueprints.ts'
import { bulkWrites } from './bulk.ts'
import { checkpointWrites } from './checkpoint.ts'
import { inserting } from './constraints.ts'
import { delegationWrites } from './delegations.ts'
import { endWrites } from './endings.ts'
import { guardWrites } from './guard.ts'
import { importWrites } from './imports.ts'
import { keyWrites } from './keys.ts'
import { outletWrites } from './outlets.ts'
import { isMarked } from './principals.ts'
import { reads } from './reads.ts'
import { receiptWrites } from './receipts.ts'
import { recordWrites } from './records.ts'
import { replicaWrites } from './replica.ts'
import { fromAccount, fromAgent, fromHold, fromPrincipal, fromRelease, fromSchedule, fromSharer } from './rows.ts'
import { dropSharer, dropSharers, firstSharer, listSharer, nameSharer, wakeHeldShared } from './sharers.ts'
import { build, number, type Run, rowWriter, type Statement, slot, statement, text, type Values } from './statement.ts'
import { statusWrites } from './statusplaces.ts'
import { toolServerWrites } from './toolservers.ts'
import { trustWrites } from './trust.ts'

const agentWriter = rowWriter('agents', ['did'])
const labelWriter = rowWriter('agent_labels', ['did', 'key'])
const principalWriter = rowWriter('principals', ['adapter', 'id'])
const accountWriter = rowWriter('principals', ['adapter', 'id'])
const descriptionWriter = rowWriter('principals', ['adapter', 'id'])
const sharerWriter = rowWriter('sharers', ['adapter', 'id', 'did'])
const holdWriter = rowWriter('holds', ['id'])
const releaseWriter = rowWriter('releases', ['id'])

const labels = statement(build.selectFrom('agents').select('labels').where('did', '=', text('did')))
const noteActivity = statement(
  build
    .updateTable('agents')
    .set({ last_activity: sql`max(coalesce(last_activity, 0), ${number('at')})` })
    .where('did', '=', text('did')),
)
const dropLabels = statement(build.deleteFrom('agent_labels').where('did', '=', text('did')))
const dropPrincipal = statement(
  build
    .deleteFrom('principals')
    .where('adapter', '=', text('adapter'))
    .where('id', '=', text('id'))
    .where('did', '=', text('did')),
)
const nextAt = sql<number>`min(coalesce(next_at, ${number('at')}), ${number('at')})`
const principals = build.updateTable('principals')
const again = slot<number | null>('again')
const asked = principals.set({
  next_at: nextAt,
  lane: sql<Lane>`case when lane = 3 then 1 else lane end`,
  read_due_at: sql`min(coalesce(read_due_at, ${number('at')}), ${number('at')})`,
  read_again_at: sql`coalesce(max(coalesce(read_again_at, ${again}), ${again}), read_again_at)`,
})
const askOne = statement(asked.where('adapter', '=', text('adapter')).where('id', '=', text('id')))
/** `+` keeps the planner from walking the whole adapter instead of the few that name this object. */
const askDependents = statement(
  asked.where(sql<string>`+adapter`, '=', text('adapter')).where('depends_on', '=', text('id')),
)
/** `+` keeps the planner from walking the whole adapter instead of its few marked or held principals. */
const forward = principals.set({ next_at: nextAt }).where(sql<string>`+adapter`, '=', text('adapter'))
const wakeMarked = statement(forward.where(isMarked))
const wakeHeld = statement(
  forward.where('did', 'in', (eb) => eb.selectFrom('holds').select('holds.did').where('released_at', 'is', null)),
)

/** Each failing statement leaves nothing of itself. */
const insert = (run: Run, made: Statement<unknown>, row: Values, duplicate: ErrorCode, dangling: ErrorCode) =>
  inserting(() => run.change(made, row), duplicate, dangling)

const update = async (run: Run, made: Statement<unknown>, row: Values, missing: ErrorCode): Promise<void> => {
  if ((await run.change(made, row)) === 0) throw new BridgeError(missing, 'There is no such record to change.')
}

const putLabels = async (run: Run, agent: Agent): Promise<void> => {
  for (const [key, value] of Object.entries(agent.labels)) {
    const row = { did: agent.did, key, value }
    await run.change(labelWriter.insert(row), row)
  }
}

type AgentWrites = Pick<
  StoreTx,
  | 'insertAgent'
  | 'saveAgent'
  | 'noteActivity'
  | 'insertPrincipal'
  | 'addSharer'
  | 'describePrincipal'
  | 'unmapPrincipal'
  | 'saveAccount'
  | 'askRead'
  | 'askReadDependents'
  | 'wakeEngaged'
>

const agentWrites = (run: Run): AgentWrites => ({
  insertAgent: async (agent) => {
    const row = fromAgent(agent)
    await insert(run, agentWriter.insert(row), row, 'E_EXISTS', 'E_BUG')
    await putLabels(run, agent)
  },
  saveAgent: async (agent) => {
    const row = fromAgent(agent)
    const before = await run.one(labels, { did: agent.did })
    await update(run, agentWriter.update(row), row, 'E_AGENT_UNKNOWN')
    if (before?.labels === row.labels) return
    await run.change(dropLabels, { did: agent.did })
    await putLabels(run, agent)
  },
  noteActivity: async (did, at) => {
    await run.change(noteActivity, { did, at })
  },
  insertPrincipal: async (principal, schedule) => {
    const row = fromPrincipal(principal, schedule)
    await insert(run, principalWriter.insert(row), row, 'E_PRINCIPAL_TAKEN', 'E_AGENT_UNKNOWN')
    if (principal.shared) await run.change(listSharer, keyOf(principal))
  },
  addSharer: async (key, sharer) => {
    const row = fromSharer(key, sharer)
    await insert(run, sharerWriter.insert(row), row, 'E_PRINCIPAL_TAKEN', 'E_NOT_FOUND')
  },
  describePrincipal: async (key, did, fields) => {
    const { appId, kind, scopes, shared } = fields
    const described = { kind, app_id: appId ?? null, scopes: JSON.stringify(scopes), shared: shared ? 1 : 0 }
    const row = { ...keyOf(key), did, ...described }
    await update(run, descriptionWriter.update(row), row, 'E_NOT_FOUND')
    await run.change(shared ? listSharer : dropSharers, keyOf(key))
  },
  unmapPrincipal: async (key, did) => {
    await run.change(dropSharer, { ...keyOf(key), did })
    const left = await run.one(firstSharer, keyOf(key))
    if (left === undefined) await run.change(dropPrincipal, { ...keyOf(key), did })
    else await run.change(nameSharer, { ...keyOf(key), did: left.did })
  },
  saveAccount: async (key, account, schedule) => {
    const row = { ...keyOf(key), ...fromAccount(account), ...fromSchedule(schedule) }
    await update(run, accountWriter.update(row), row, 'E_NOT_FOUND')
  },
  askRead: async (key, at, again) => {
    await run.change(askOne, { ...keyOf(key), at, again: again ?? null })
  },
  askReadDependents: async (adapter, id, at, again) => {
    await run.change(askOne, { adapter, id, at, again: again ?? null })
    await run.change(askDependents, { adapter, id, at, again: again ?? null })
  },
  wakeEngaged: async (adapter, at) => {
    await run.change(wakeMarked, { adapter, at })
    await run.change(wakeHeld, { adapter, at })
    await run.change(wakeHeldShared, { adapter, at })
  },
})

const keyOf = (key: PrincipalKey) => ({ adapter: key.adapter, id: key.id })

type HoldWrites = Pick<StoreTx, 'insertHold' | 'saveHold' | 'insertRelease' | 'saveRelease' | 'appendAudit'>

const holdWrites = (run: Run): HoldWrites => ({
  insertHold: async (hold) => {
    const row = fromHold(hold)
    await insert(run, holdWriter.insert(row), row, 'E_EXISTS', 'E_BUG')
  },
  saveHold: async (hold) => {
    const row = fromHold(hold)
    await update(run, holdWriter.update(row), row, 'E_HOLD_UNKNOWN')
  },
  insertRelease: async (release) => {
    const row = fromRelease(release)
    await insert(run, releaseWriter.insert(row), row, 'E_EXISTS', 'E_HOLD_UNKNOWN')
  },
  saveRelease: async (release) => {
    const row = fromRelease(release)
    await update(run, releaseWriter.update(row), row, 'E_RELEASE_UNKNOWN')
  },
  appendAudit: (event) => append(run, event),
})

/** Everything a transaction can do, on the writing connection. */
export const transaction = (run: Run): StoreTx => ({
  ...reads(run),
  ...agentWrites(run),
  ...keyWrites(run),
  ...aliasWrites(run),
  ...holdWrites(run),
  ...recordWrites(run),
  ...checkpointWrites(run),
  ...replicaWrites(run),
  ...outletWrites(run),
  ...receiptWrites(run),
  ...guardWrites(run),
  ...bulkWrites(run),
  ...endWrites(run),
  ...trustWrites(run),
  ...statusWrites(run),
  ...blueprintWrites(run),
  ...toolServerWrites(run),
  ...delegationWrites(run),
  ...importWrites(run),
})

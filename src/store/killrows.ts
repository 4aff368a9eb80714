import type { MassKill } from '../core/masskill.ts'
import type { Origin } from '../core/types.ts'
import type { KillTable } from './schema.ts'

const parse = <T>(json: string): T => JSON.parse(json)

export const toKill = (row: KillTable): MassKill => ({
  id: row.id,
  at: row.at,
  actor: row.actor,
  origin: row.origin as Origin,
  requestId: row.request_id ?? undefined,
  reason: row.reason,
  evidence: parse(row.evidence),
  selector: row.selector === null ? undefined : parse(row.selector),
  agents: row.agents,
  placed: row.placed,
  doneAt: row.done_at ?? undefined,
})

export const fromKill = (kill: MassKill): KillTable => ({
  id: kill.id,
  at: kill.at,
  actor: kill.actor,
  origin: kill.origin,
  request_id: kill.requestId ?? null,
  reason: kill.reason,
  evidence: JSON.stringify(kill.evidence),
  selector: kill.selector === undefined ? null : JSON.stringify(kill.selector),
  agents: kill.agents,
  placed: kill.placed,
  done_at: kill.doneAt ?? null,
})

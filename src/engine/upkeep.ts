import { every } from '../lib/periodic.ts'
import type { Activity } from './activity.ts'
import { type CheckpointSettings, pruneAudit } from './checkpoints.ts'
import type { Deps } from './deps.ts'
import { tendCascades } from './ending.ts'
import { tendDelegations } from './expiring.ts'
import { tendImports } from './imports.ts'
import { finishKills } from './masskill.ts'
import { prune, pruneMs, type Retention } from './pruning.ts'
import { createRecall } from './recall.ts'
import { tendBlueprints } from './regranting.ts'
import type { Runner } from './runner.ts'

const minuteMs = 60_000
/** What a kill that failed in the middle, on a full disk say, left undone. */
const finishMs = 10_000

export interface UpkeepParts {
  readonly runners: ReadonlyMap<string, Runner>
  readonly signer: { sign(): Promise<void> }
  readonly activity: Activity
  readonly retention: () => Retention
  readonly checkpoints: CheckpointSettings
}

/** What goes on beside the passes over the directories, until the signal aborts. */
export const startUpkeep = (deps: Deps, parts: UpkeepParts, signal: AbortSignal): void => {
  const { activity, checkpoints, retention, runners, signer } = parts
  const { clock, log } = deps
  const recallOf = (name: string) => runners.get(name)?.mirror.recall ?? createRecall()
  const full = async (name: string, aborted: AbortSignal) => runners.get(name)?.sync.full(aborted)
  void tendCascades(deps, signal)
  void tendBlueprints(deps, signal)
  void tendDelegations(deps, signal)
  void tendImports({ deps, recallOf, full }, signal)
  void every(clock, minuteMs, signal, log, () => signer.sign())
  void every(clock, minuteMs, signal, log, () => activity.flush())
  void every(clock, finishMs, signal, log, () => finishKills(deps))
  void every(clock, pruneMs, signal, log, () => prune(deps, retention))
  void every(clock, pruneMs, signal, log, () => pruneAudit(deps, checkpoints))
}

import type { Blueprint } from '../core/blueprints.ts'
import type { StoreReads } from '../core/store.ts'
import type { Agent } from '../core/types.ts'

/** The definition in force under the name that an agent carries; undefined when it carries none, or one that is gone. */
export const blueprintOf = async (
  reads: Pick<StoreReads, 'blueprint'>,
  agent: Pick<Agent, 'blueprint'>,
): Promise<Blueprint | undefined> => (agent.blueprint === undefined ? undefined : reads.blueprint(agent.blueprint))

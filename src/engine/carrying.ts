import type { Agent } from '../core/types.ts'

/** The definition in force under the name that an agent carries; undefined when it carries none, or one that is gone. */
export const blueprintOf = async <T>(
  reads: { blueprint(name: string): Promise<T | undefined> },
  agent: Pick<Agent, 'blueprint'>,
): Promise<T | undefined> => (agent.blueprint === undefined ? undefined : reads.blueprint(agent.blueprint))

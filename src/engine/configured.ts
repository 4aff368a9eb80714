import type { Definition } from '../core/blueprints.ts'
import type { ToolServerDefinition } from '../core/tools.ts'
import type { Deps } from './deps.ts'
import { defineConfigured } from './regranting.ts'
import { defineConfiguredServers } from './toolservers.ts'

/** What a configuration defines by name, beside what is put over the API. */
export interface Defined {
  readonly blueprints: ReadonlyMap<string, Definition>
  readonly toolServers: ReadonlyMap<string, ToolServerDefinition>
}

/** At the start and after a reload. */
export const putInForce = async (deps: Deps, { blueprints, toolServers }: Defined): Promise<void> => {
  // First: a rule that is narrower now counts before anything that comes with the same file.
  await defineConfiguredServers(deps, toolServers)
  await defineConfigured(deps, blueprints)
}

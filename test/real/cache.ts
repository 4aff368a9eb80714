import { homedir } from 'node:os'
import { join } from 'node:path'

/** What took long to get and is the same in every clone: outside of it, as `npm ci` empties `node_modules`. */
export const cacheFolder = (...names: readonly string[]): string =>
  join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'agentmesh-idp-bridge', ...names)

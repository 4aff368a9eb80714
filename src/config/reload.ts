import { SecretRef } from '../lib/secret.ts'
import type { Config } from './schema.ts'

export interface ReloadDiff {
  /** Settings that changed and are in force after a reload. */
  readonly reloaded: readonly string[]
  /** Settings that changed and stay as they were until the daemon is restarted. */
  readonly needsRestart: readonly string[]
}

/** What a reload puts into force: clients, keys, what is published, groups, blueprints, tools, policy and log level. Everything else needs a restart. */
const RELOADABLE = [
  /^(auth|registration|signing|passports|statusLists|policy|capabilities|retention|blueprints|tools)\./,
  /^log\.level$/,
  /^adapters\.[^.]+\.groups\./,
]

/** Which settings differ between two configurations, each as a path, and which of them a reload can change. */
export function diffReload(before: Config, after: Config): ReloadDiff {
  const old = leaves(before)
  const young = leaves(after)
  const changed = [...new Set([...old.keys(), ...young.keys()])].filter((path) => !same(old.get(path), young.get(path)))
  const reloadable = (path: string) => RELOADABLE.some((pattern) => pattern.test(`${path}.`) || pattern.test(path))
  return { reloaded: changed.filter(reloadable), needsRestart: changed.filter((path) => !reloadable(path)) }
}

/** Lists count as one setting: an index says nothing once an entry was inserted before it. */
function leaves(value: unknown, path = '', into = new Map<string, unknown>()): Map<string, unknown> {
  if (typeof value !== 'object' || value === null || value instanceof SecretRef || Array.isArray(value)) {
    if (value !== undefined) into.set(path, value)
    return into
  }
  for (const [key, item] of Object.entries(value)) leaves(item, path === '' ? key : `${path}.${key}`, into)
  return into
}

function same(a: unknown, b: unknown): boolean {
  if (a instanceof SecretRef) return b instanceof SecretRef && a.equals(b)
  if (typeof a !== 'object' || a === null || typeof b !== 'object' || b === null) return Object.is(a, b)
  if (b instanceof SecretRef) return false
  const left = Object.entries(a)
  const right = new Map(Object.entries(b))
  return left.length === right.size && left.every(([key, item]) => right.has(key) && same(item, right.get(key)))
}

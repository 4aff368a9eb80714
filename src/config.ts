import { readFileSync, statSync } from 'node:fs'
import { z } from 'zod'
import type { AdapterBase } from './config/adapter.ts'
import { blueprintFaults } from './config/blueprints.ts'
import { calledFaults } from './config/called.ts'
import { credentialFaults } from './config/clients.ts'
import { ConfigError, type Fault } from './config/faults.ts'
import { followFaults } from './config/follows.ts'
import { issueFaults, plainWords } from './config/issues.ts'
import { oidcFaults } from './config/oidc.ts'
import type { OutletKinds } from './config/outlet.ts'
import { outletFaults } from './config/outlets.ts'
import { type AdapterKinds, type Config, configSchema } from './config/schema.ts'
import { selfFaults } from './config/selves.ts'
import { MAX_BYTES, readTree, type Tree } from './config/text.ts'
import { diskFiles, type Files, SecretRef } from './lib/secret.ts'

export { type AdapterBase, adapterBase, capability } from './config/adapter.ts'
export { ConfigError, type Fault, type FaultCode, formatFaults } from './config/faults.ts'
export type { OutletBase, OutletKinds } from './config/outlet.ts'
export { diffReload, type ReloadDiff } from './config/reload.ts'
export { type AdapterKinds, type Config, type Role, roles } from './config/schema.ts'
export { watchConfig } from './config/watch.ts'

export interface ParseOptions<K extends AdapterKinds> {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly adapterKinds: K
  /** None when left out: `signals` then has no key. */
  readonly outletKinds?: OutletKinds
  /** Those of `adapterKinds` that can tell who calls our own API; left out, that is seen at the start. */
  readonly callerKinds?: readonly string[]
  /** Where `{ file: … }` and `outbound.caFile` are read; relative paths count from the working directory. */
  readonly files?: Files
  /** How messages name the file. */
  readonly source?: string
}

/** The configuration of one of the given kinds, common fields always there. */
export type AdapterConfig<K extends AdapterKinds> = AdapterBase & z.output<K[keyof K]>

/**
 * Reads a configuration (YAML or JSON), checks all of it and freezes it. Fails with `ConfigError` carrying every fault;
 * neither the error nor the result prints a secret.
 */
export function parseConfig<K extends AdapterKinds>(text: string, options: ParseOptions<K>): Config<AdapterConfig<K>> {
  const { env, adapterKinds, outletKinds = {}, callerKinds, files = diskFiles, source = 'file' } = options
  const tree = readTree(text, env, files)
  if (tree.root === undefined) throw new ConfigError(source, tree.faults)
  if (tree.root === null || typeof tree.root !== 'object' || Array.isArray(tree.root)) {
    const hint = 'start with version: 1'
    throw new ConfigError(source, [{ path: '', code: 'wrong_type', message: 'the file is not a mapping', hint }])
  }

  const result = configSchema(adapterKinds, outletKinds).safeParse(tree.root, { error: plainWords })
  const found = result.success ? [] : issueFaults(result.error.issues)
  const faults = [
    ...tree.faults,
    ...withoutEchoes(found, tree.faults),
    ...followFaults(tree.root),
    ...blueprintFaults(tree.root),
    ...selfFaults(tree.root),
    ...calledFaults(tree.root),
    ...outletFaults(tree.root),
    ...caFaults(tree.root, files),
    ...credentialFaults(tree.root),
    ...oidcFaults(tree.root, callerKinds),
  ]
  if (!result.success || faults.length > 0) throw new ConfigError(source, placed(faults, tree))
  // The adapter's part is what its own schema gave; the union's type is lost in the record of kinds.
  return deepFreeze(result.data) as Config<AdapterConfig<K>>
}

/** `parseConfig` of a file. A file that cannot be read is a fault like any other. */
export function loadConfig<K extends AdapterKinds>(path: string, options: ParseOptions<K>): Config<AdapterConfig<K>> {
  return parseConfig(readText(path), { source: path, ...options })
}

function readText(path: string): string {
  const fault = (fault: Fault) => new ConfigError(path, [fault])
  try {
    // Asked before reading: a wrong path may be a device or a huge file.
    const stat = statSync(path)
    const hint = 'is this the right file?'
    if (!stat.isFile()) throw fault({ path: '', code: 'unreadable', message: 'the path is not a file', hint })
    if (stat.size > MAX_BYTES) throw fault({ path: '', code: 'too_large', message: 'the file is over 1 MiB', hint })
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (error instanceof ConfigError) throw error
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable'
    const hint = 'name it with --config or IDP_BRIDGE_CONFIG, and make it readable'
    throw fault({ path: '', code: 'unreadable', message: `the file cannot be read (${code})`, hint })
  }
}

/** What was already said about a place (its variable is missing) is not said again as a bad value. */
function withoutEchoes(found: readonly Fault[], earlier: readonly Fault[]): Fault[] {
  const told = new Set(earlier.map((fault) => fault.path))
  return found.filter((fault) => !told.has(fault.path) || fault.code === 'unknown_key')
}

function placed(faults: readonly Fault[], tree: Tree): Fault[] {
  return faults
    .map((fault) => ({ ...fault, ...tree.position(fault.path.split('.')) }))
    .sort((a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0))
}

const caFileShape = z.object({ outbound: z.object({ caFile: z.string().min(1) }) })

/** The one plain path that must be readable at the start; checked beside the schema, which does not know the files. */
function caFaults(root: unknown, files: Files): Fault[] {
  const parsed = caFileShape.safeParse(root)
  if (!parsed.success) return []
  const fault = { path: 'outbound.caFile', hint: 'name a readable PEM file with at least one certificate' }
  try {
    if (files.read(parsed.data.outbound.caFile).includes('-----BEGIN CERTIFICATE-----')) return []
    return [{ ...fault, code: 'bad_value', message: 'names a file without a PEM certificate' }]
  } catch {
    return [{ ...fault, code: 'unreadable', message: `cannot be read (${parsed.data.outbound.caFile})` }]
  }
}

function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || value instanceof SecretRef || Object.isFrozen(value)) return value
  for (const item of Object.values(value)) deepFreeze(item)
  return Object.freeze(value)
}

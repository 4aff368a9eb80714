import assert from 'node:assert/strict'
import { it } from 'node:test'
import { configs } from '../../adapters/index.ts'
import { outletConfigs } from '../../outlets/index.ts'
import { ConfigError, type Fault, parseConfig } from '../../src/config.ts'
import type { Files } from '../../src/lib/secret.ts'

export const adapterKinds = configs
export const outletKinds = outletConfigs
export const HASH = 'a'.repeat(64)
export const OTHER = 'b'.repeat(64)
export const TENANT = '11111111-2222-3333-4444-555555555555'
export const operator = `auth: { clients: [{ name: soc, role: operator, tokenSha256: ${HASH} }] }`
export const minimal = `version: 1\n${operator}\nadapters: {}\n`

const disk: Record<string, string> = {
  '/secret': 'hush-hush-hush-hush\n',
  '/empty': '\n',
  '/ca.pem': '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n',
}
export const files: Files = {
  read: (path) => disk[path] ?? missing(),
  stamp: (path) => disk[path] ?? missing(),
}
function missing(): never {
  throw Object.assign(new Error('no such file'), { code: 'ENOENT' })
}

export const parse = (text: string, env: Record<string, string> = {}) =>
  parseConfig(text, { env, adapterKinds, outletKinds, files })

export function faultsOf(text: string, env: Record<string, string> = {}): readonly Fault[] {
  try {
    parse(text, env)
  } catch (error) {
    if (error instanceof ConfigError) return error.faults
    throw error
  }
  return []
}

export const withAuth = (auth: string) => `version: 1\nauth: ${auth}\nadapters: {}\n`
export const withClients = (...clients: string[]) => withAuth(`{ clients: [${clients.join(', ')}] }`)
export const soc = `{ name: soc, role: operator, tokenSha256: ${HASH} }`
export const entra = (rest: string) =>
  `version: 1\n${operator}\nadapters: { contoso: { kind: entra, tenantId: ${TENANT}, ` +
  `credential: { type: workloadIdentity }, ${rest} } }\n`
export const credential = (value: string) =>
  `version: 1\n${operator}\nadapters: { contoso: { kind: entra, tenantId: ${TENANT}, credential: ${value} } }\n`

/** Name, text, path and code of its one fault, and a part of what the fault says. */
export type Row = [name: string, text: string, fault: string, words: RegExp]

/** One test for each row. */
export function refuses(table: readonly Row[]): void {
  for (const [name, text, expected, words] of table) {
    it(name, () => {
      const faults = faultsOf(text)
      assert.deepEqual(
        faults.map(({ path, code }) => `${path} ${code}`),
        [expected],
      )
      const { message, hint, line } = faults[0] ?? {}
      assert.match(`${message} ${hint}`, words)
      assert.ok(line !== undefined || expected.startsWith(' ') || expected === 'auth missing', 'says where')
    })
  }
}

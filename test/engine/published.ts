import assert from 'node:assert/strict'
import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import type { Caller } from '../../src/engine/agentapi.ts'
import type { PassportInput } from '../../src/engine/publishingapi.ts'
import type { VerifyKey } from '../../src/lib/jws.ts'
import { kidOf } from '../../src/lib/jws.ts'
import { type PassportTerms, verifyPassport } from '../../src/lib/passport.ts'
import { openStatusList } from '../../src/lib/statuslist.ts'
import { registrar, type World } from './harness.ts'

export interface Signing extends VerifyKey {
  readonly pem: string
  read(): string
}

export const signingKey = (): Signing => {
  const { privateKey } = generateKeyPairSync('ed25519')
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  return { pem, kid: kidOf(pem) ?? '', key: createPublicKey(pem), read: () => pem }
}

export const nameOf = (uri: string): string => uri.slice(uri.lastIndexOf('/') + 1)

/** A world that publishes, and one who checks what it published without asking it. */
export const published = (world: World, ...keys: Signing[]) => {
  const given = keys.length > 0 ? keys : [signingKey()]
  world.keys = given
  const list = async (uri: string) => (await world.bridge.statusList(nameOf(uri))).token
  return {
    keys: given,
    issue: (did: string, input: PassportInput = {}, caller: Caller = registrar) =>
      world.bridge.passport(did, input, caller),
    list,
    /** The list as it is opened by who checks. */
    opened: async (uri: string) => {
      const found = await openStatusList(await list(uri), given)
      assert.ok(typeof found !== 'string', String(found))
      return found
    },
    check: async (passport: string, uri: string | undefined, more: Partial<PassportTerms> = {}) => {
      const verdict = await verifyPassport(passport, {
        keys: given,
        revoked: world.bridge.revokedKeys(),
        statusList: uri === undefined ? undefined : await list(uri),
        now: world.clock.now(),
        issuer: 'https://bridge.test/',
        ...more,
      })
      const failed = verdict.checks.filter(({ ok }) => !ok).map(({ check }) => check)
      assert.equal(verdict.valid, failed.length === 0)
      return { ...verdict, failed }
    },
  }
}

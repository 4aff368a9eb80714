import { z } from 'zod'
import { adapterBase, groupCapabilities } from '../../src/config/adapter.ts'
import { httpsOrigin, httpsUrl, int, oneOrMany, says, secret, text } from '../../src/lib/fields.ts'
import { anyId, groupId, kinds } from './ids.ts'
import { keyFault } from './keys.ts'

const never = z
  .string()
  .regex(
    anyId,
    says('is not the id of an account', 'use the id, such as 00u…, 0oa… or wlp…: logins and names can change hands'),
  )

const group = z
  .string()
  .regex(groupId, says('is not a group id', 'use the id of the group, 00g…: another group can take over a name'))

const credential = z
  .discriminatedUnion('type', [
    z
      .strictObject({
        type: z.literal('privateKey'),
        clientId: text.describe('Client id of the API services app of the bridge'),
        key: secret({ check: keyFault }).describe('Private key, RSA or EC: a JWK, or PKCS#8 PEM'),
        keyId: text.optional().describe('The `kid` under which Okta knows the key; that of the JWK when left out'),
        dpop: z
          .enum(['auto', 'always', 'never'])
          .prefault('auto')
          .describe('Bind access tokens to a key; auto: when the org demands it'),
      })
      .describe('An API services app that signs in with its private key'),
    z
      .strictObject({ type: z.literal('apiToken'), token: secret({ min: 16 }) })
      .describe('A static API token (SSWS): for trials, or where no app can be had'),
  ])
  .describe('How the bridge signs in to the org')

const authorizationServer = z
  .string()
  .regex(
    /^(default|aus[0-9A-Za-z]{17})$/,
    says(
      'is not a custom authorization server',
      'write default or its id, aus…: access tokens of the org server cannot be verified by anyone but Okta',
    ),
  )

const tokens = z.strictObject({
  audiences: z.array(text).min(1, says('is an empty list', 'name at least one audience, such as api://agents')),
  authorizationServers: z
    .array(authorizationServer)
    .min(1, says('is an empty list', 'name at least one, such as default'))
    .prefault(['default'])
    .describe('Custom authorization servers, by id'),
  issuerOrigins: z
    .array(httpsOrigin)
    .prefault([])
    .describe('Custom domains of the org that tokens may name as their issuer, besides orgUrl'),
  clients: z
    .record(text, z.string().regex(anyId, says('is not the id of an account', 'use an id such as 00u…, 0oa… or wlp…')))
    .prefault({})
    .describe('Client id in tokens → account id, for agents whose client id is not their id'),
})

const eventHook = z.strictObject({
  secret: oneOrMany(secret({ min: 16 })).describe('Expected in the header; several to rotate'),
  header: z
    .string()
    .regex(/^[A-Za-z][A-Za-z0-9-]{0,63}$/, says('is not a header name', 'write a name such as Authorization'))
    .prefault('Authorization')
    .describe('The header that carries the secret, as set in the event hook'),
  verify: z
    .boolean()
    .prefault(false)
    .describe('Answer a verification request that does not carry the secret: for as long as the hook is being set up'),
})

const universalLogout = z.strictObject({
  audience: httpsUrl.describe('The address of our endpoint as Okta knows it, without a query'),
  clientIds: z.array(text).min(1, says('is an empty list', 'name the client id of the app that Okta logs out of')),
})

/** One Okta org. */
export const oktaConfig = adapterBase
  .extend({
    kind: z.literal('okta'),
    orgUrl: httpsOrigin.describe('Address of the org, such as https://contoso.okta.com'),
    credential,
    manage: z
      .strictObject({
        kinds: z
          .array(z.enum(kinds))
          .min(1, says('is an empty list', 'name at least one kind, such as user'))
          .prefault(['user', 'serviceApp']),
        groups: z.array(group).prefault([]),
      })
      .prefault({})
      .describe('The accounts the bridge may register and write; anything else is refused'),
    never: z.array(never).prefault([]).describe('Ids of accounts that the bridge must never map, disable or mirror'),
    tokens: tokens.optional().describe('Without it no token of this org is accepted'),
    groups: z.record(group, groupCapabilities).prefault({}).describe('Group id → capabilities'),
    hooks: z
      .strictObject({ eventHook: eventHook.optional(), universalLogout: universalLogout.optional() })
      .prefault({}),
    limits: z
      .strictObject({
        share: int(1, 100)
          .prefault(50)
          .describe('Percent of each rate limit of the org that the bridge may use; Okta grants an app 50 by default'),
        concurrency: int(2, 75)
          .prefault(15)
          .describe('Requests open at once; the org has 75 for everyone, 35 when free'),
      })
      .prefault({}),
  })
  .describe('Okta')

export type OktaConfig = z.output<typeof oktaConfig>

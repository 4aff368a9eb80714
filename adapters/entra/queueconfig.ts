import { z } from 'zod'
import { duration, guid, httpsOrigin, httpsUrl, says, secret, text } from '../../src/lib/fields.ts'

/** `/queue` of an account's own host, `/account/queue` behind an address (storage: naming queues, read 2026-11). */
const queuePath = /^(?:\/[a-z0-9]{3,24})?\/[a-z0-9](?:-?[a-z0-9]){2,62}$/

const url = httpsUrl
  .refine(
    (address) => {
      const { search, hash, pathname } = new URL(address)
      return search === '' && hash === '' && queuePath.test(pathname)
    },
    says(
      'is not the address of a queue',
      'write https://{account}.queue.core.windows.net/{queue}; a shared access signature goes to access.sas',
    ),
  )
  .describe('Of the queue: https://{account}.queue.core.windows.net/{queue}')

/** What of a connection string is used: the address is that of `url`. */
export type Connection =
  | { readonly kind: 'key'; readonly account: string; readonly key: string }
  | { readonly kind: 'sas'; readonly sas: string }

/** Undefined: it is none, or names no key of the queue. */
export function connectionOf(connectionString: string): Connection | undefined {
  const parts = new Map(
    connectionString
      .trim()
      .split(';')
      .map((part) => [part.slice(0, part.indexOf('=')).trim(), part.slice(part.indexOf('=') + 1).trim()]),
  )
  const [account, key, sas] = ['AccountName', 'AccountKey', 'SharedAccessSignature'].map((name) => parts.get(name))
  if (account && key) return { kind: 'key', account, key }
  return sas ? { kind: 'sas', sas: sasOf(sas) } : undefined
}

/** A shared access signature as the query it is, however it was copied. */
export const sasOf = (given: string): string => given.trim().replace(/^\?/, '')

const isSas = (given: string): string | undefined =>
  new URLSearchParams(sasOf(given)).get('sig')
    ? undefined
    : says('is not a shared access signature', 'put the query that holds sig=… into the file, and nothing else')

const isConnection = (given: string): string | undefined =>
  connectionOf(given)
    ? undefined
    : says(
        'is not the connection string of a storage account',
        'copy it whole: AccountName and AccountKey, or SharedAccessSignature',
      )

/** @param credential how an identity signs in */
export const queueHook = <C extends z.ZodType>(credential: C) =>
  z
    .strictObject({
      url,
      access: z
        .discriminatedUnion('auth', [
          z
            .strictObject({
              auth: z.literal('entra'),
              tenantId: guid
                .optional()
                .describe('That of the storage account; the tenant of the adapter when left out'),
              authority: httpsOrigin.optional().describe('Overrides that of the cloud'),
              audience: httpsOrigin.prefault('https://storage.azure.com').describe('What tokens are asked for'),
              credential: credential.optional().describe('The credential of the adapter when left out'),
            })
            .describe('By a token; the identity needs the role Storage Queue Data Message Processor on the queue'),
          z
            .strictObject({
              auth: z.literal('sas'),
              sas: secret({ min: 16, check: isSas }).describe('Shared access signature of the queue: sp=rp suffices'),
            })
            .describe('By a shared access signature'),
          z
            .strictObject({
              auth: z.literal('connectionString'),
              connectionString: secret({ min: 16, check: isConnection }).describe('Of the storage account'),
            })
            .describe('By the key of the whole storage account: where nothing else is possible'),
        ])
        .prefault({ auth: 'entra' })
        .describe('How the bridge proves itself to the queue'),
      poll: duration({ minMs: 1000, maxMs: 60_000 }).prefault('2s').describe('How often an empty queue is asked'),
      subscriptions: z
        .array(text.transform((name) => name.toLowerCase()))
        .prefault([])
        .describe('Graph subscription ids to accept; empty: any of this tenant'),
    })
    .describe('A storage queue fed by an Event Grid subscription: rings as the hook address does, with no way in')

import { Webhook } from 'standardwebhooks'
import type { z } from 'zod'
import { outletBase } from '../src/config/outlet.ts'
import { BridgeError, codeOf } from '../src/core/errors.ts'
import type { Outlet } from '../src/core/outlet.ts'
import { httpsUrl, oneOrMany, says, secret, text } from '../src/lib/fields.ts'
import type { SecretRef } from '../src/lib/secret.ts'
import { identityOf, outcomeOf, unanswered } from './answers.ts'
import type { OutletDeps } from './deps.ts'

/** Bytes of a signing secret: what Standard Webhooks asks for. */
const least = 24
const most = 64

const signingSecret = (value: string): string | undefined => {
  const hint = 'make one: echo "whsec_$(openssl rand -base64 32)"'
  const encoded = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(value)?.[1]
  if (encoded === undefined || encoded.length % 4 !== 0) return says('is not a signing secret (whsec_…, base64)', hint)
  const bytes = Buffer.from(encoded, 'base64').length
  if (bytes < least || bytes > most) return says(`is not of ${least} to ${most} bytes`, hint)
  return undefined
}

/** A receiver of signed pushes. */
export const webhookConfig = outletBase.extend({
  url: httpsUrl.describe('Where each signal is sent by POST'),
  secret: oneOrMany(secret({ check: signingSecret })).describe('Signs every push; several to rotate, each signs'),
  client: text.describe('The runtime as whom it reads: its labels bound what is sent, its leg of a receipt is closed'),
})

export type WebhookConfig = z.output<typeof webhookConfig>

const limits = { timeoutMs: 10_000, maxBytes: 64 * 1024 }

/** Signatures of a push, one for each secret (Standard Webhooks 1.0, "Signature scheme"). Reads the secrets. */
export const signaturesOf = (secrets: readonly SecretRef[], id: string, at: Date, body: string): string =>
  secrets.map((each) => signed(each.read(), id, at, body)).join(' ')

const signed = (key: string, id: string, at: Date, body: string): string => {
  // A secret file may be replaced while the bridge runs, and what the library says of a bad one may quote it.
  if (signingSecret(key) !== undefined) throw new BridgeError('E_SECRET', 'a signing secret of a webhook is not usable')
  return new Webhook(key).sign(id, at, body)
}

/** Pushes each signal by itself, signed as Standard Webhooks has it. Opens nothing. */
export const openWebhook = (config: WebhookConfig, { outbound, clock, log }: OutletDeps): Outlet => {
  const { name, url, client, types } = config
  const { origin } = new URL(url)
  const fetch = outbound.origin([origin], limits)
  return {
    name,
    kind: 'webhook',
    origin,
    identity: identityOf({ kind: 'webhook', url, client, types: [...types] }),
    client,
    types,
    giveUpAfterMs: config.giveUpAfter,
    most: 1,
    mostBytes: Number.POSITIVE_INFINITY,
    push: async ([event], signal) => {
      if (event === undefined) return { kind: 'taken' }
      const body = JSON.stringify(event.data)
      const at = new Date(clock.now())
      try {
        const answer = await fetch(url, {
          method: 'POST',
          headers: {
            'content-type': 'application/json',
            'webhook-id': event.id,
            'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
            'webhook-signature': signaturesOf(config.secret, event.id, at, body),
          },
          body,
          signal,
        })
        return outcomeOf(answer.status, answer.headers.get('retry-after'), clock.now())
      } catch (error) {
        if (signal.aborted) throw error
        const code = codeOf(error)
        // The path may hold a secret, and what failed below may quote it.
        log.debug({ outlet: name, code }, 'a push got no answer')
        return unanswered(code)
      }
    },
  }
}

import { createHash } from 'node:crypto'
import { AgentIdentity } from '@microsoft/agent-governance-sdk'
import { signedText } from '../../src/lib/signedrequest.ts'
import { type Answer, client } from './client.ts'
import { at, textAt } from './json.ts'
import { until } from './until.ts'

export const publicUrl = 'https://bridge.contoso.com'

/** As the registry of AGT names a key: from the key itself. */
export const meshOf = (identity: AgentIdentity): string => {
  const raw = Buffer.from(identity.publicKey).subarray(12)
  return `did:mesh:${createHash('sha256').update(raw).digest('hex').slice(0, 32)}`
}

export const newIdentity = (name = 'billing-bot'): AgentIdentity => AgentIdentity.generate(name, [])

/** What an attacker may do to one request; everything else is as it should be. */
export interface Twist {
  readonly did?: string
  readonly body?: object
  /** Sent in place of what was signed. */
  readonly sent?: string
  readonly audience?: string
  readonly method?: string
  readonly target?: string
  readonly contentType?: string
  readonly timestamp?: string
  readonly nonce?: string
  readonly signature?: string
  readonly headers?: Readonly<Record<string, string | undefined>>
  readonly signer?: AgentIdentity
}

/** Twenty a second are let in: a test that tries much waits for its turn. */
export const challenge = (origin: string): Promise<string> =>
  until('a challenge', async () => {
    const answer = await client(origin, undefined).post('/v1/agents/self/challenge', undefined)
    return answer.status !== 429 && textAt(answer.body, 'nonce')
  })

/** One registration of the agent by itself, signed by the real SDK. */
export const registerSelf = async (
  origin: string,
  identity: AgentIdentity,
  token: string,
  twist: Twist = {},
): Promise<Answer> => {
  const did = twist.did ?? meshOf(identity)
  const path = '/v1/agents/self'
  const whole = { did, publicKey: identity.toJWK(), token, name: 'billing-bot', kind: 'agentIdentity', ...twist.body }
  const body = Buffer.from(JSON.stringify(whole))
  const contentType = 'application/json'
  const timestamp = twist.timestamp ?? new Date().toISOString()
  const nonce = twist.nonce ?? (await challenge(origin))
  const signed = signedText(
    {
      method: twist.method ?? 'POST',
      target: twist.target ?? path,
      contentType: twist.contentType ?? contentType,
      body,
      did,
      timestamp,
      nonce,
    },
    twist.audience ?? publicUrl,
  )
  const signature = twist.signature ?? Buffer.from((twist.signer ?? identity).sign(signed)).toString('base64')
  const headers: Record<string, string | undefined> = {
    'content-type': contentType,
    'x-agent-did': did,
    'x-agent-timestamp': timestamp,
    'x-agent-nonce': nonce,
    'x-agent-signature': signature,
    ...twist.headers,
  }
  const given = Object.entries(headers).filter((one): one is [string, string] => one[1] !== undefined)
  return client(origin, undefined).ask(path, { body: twist.sent ?? body, headers: Object.fromEntries(given) })
}

export const codeOf = ({ body }: Answer): unknown => at(body, 'code')

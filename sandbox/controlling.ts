import { z } from 'zod'
import type { Answer } from './faults.ts'
import { parseJson } from './incoming.ts'

/** What the control APIs of local tenants have in common: JSON on loopback, for a person with curl. */

const strikes = {
  path: z.string(),
  times: z.int().min(1).exactOptional(),
  share: z.number().min(0).max(1).exactOptional(),
}

/** A fault as it is ordered over HTTP, with the start of the paths it is for. */
export const orderedFault = z.union([
  z.strictObject({
    ...strikes,
    status: z.int().min(400).max(599),
    applied: z.boolean().exactOptional(),
    appliedAfterMs: z.int().min(0).max(600_000).exactOptional(),
  }),
  z.strictObject({ ...strikes, altered: z.enum(['empty', 'repeated', 'looping']) }),
  z.strictObject({ ...strikes, altered: z.literal('stale'), byMs: z.int().min(0) }),
  z.strictObject({
    ...strikes,
    mode: z.enum(['reset', 'reset-after-body', 'hang', 'hang-after-body', 'truncate', 'drip']),
  }),
])

export const orderedOutages = z.strictObject({
  jwks: z.boolean().exactOptional(),
  tokenEndpoint: z.boolean().exactOptional(),
  clockOffMs: z.int().exactOptional(),
})

/** Takes what is down and how wrong the clock is; what is not named stays. */
export function applyOutages(
  tenant: {
    setClockOff(ms: number): void
    setJwksDown(down: boolean): void
    setTokenEndpointDown(down: boolean): void
  },
  { clockOffMs, jwks, tokenEndpoint }: z.infer<typeof orderedOutages>,
): void {
  if (clockOffMs !== undefined) tenant.setClockOff(clockOffMs)
  if (jwks !== undefined) tenant.setJwksDown(jwks)
  if (tokenEndpoint !== undefined) tenant.setTokenEndpointDown(tokenEndpoint)
}

/** 200 with what `run` gives, 204 when it gives nothing, 422 with the reason when it throws. */
export async function controlled(text: string, run: (body: unknown) => unknown): Promise<Answer> {
  try {
    const result = await run(text === '' ? {} : parseJson(text))
    if (result !== undefined) return { status: 200, headers: {}, body: result }
    return { status: 204, headers: {} }
  } catch (error) {
    if (!(error instanceof Error)) throw error
    return { status: 422, headers: {}, body: { error: error.message } }
  }
}

export function own<T>(table: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined
}

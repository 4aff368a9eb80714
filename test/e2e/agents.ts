import assert from 'node:assert/strict'
import type { Answer, Client } from './client.ts'
import { at, listAt, textAt } from './json.ts'
import { until } from './until.ts'
import type { Daemon, World } from './world.ts'

export const analystDid = 'did:agentmesh:data-analyst:a7f3b2c1d4e5f607'
export const reporterDid = 'did:agentmesh:report-writer:0b1c2d3e4f506172'
export const scoutDid = 'did:mesh:34872769aa0c4d5e8f90123456789abc'

export const principal = (id: string, kind = 'agentIdentity', appId = id) => ({ adapter: 'contoso', id, kind, appId })

export const path = (did: string, rest = ''): string => `/v1/agents/${encodeURIComponent(did)}${rest}`

export const register = async (caller: Client, body: object): Promise<Answer> => {
  const answer = await caller.post('/v1/agents', body)
  assert.equal(answer.status, 201, answer.text)
  return answer
}

/** The analyst with its agent identity and user, its child the reporter, and the scout, which has nobody. */
export const registerAll = async ({ as }: Daemon, { contoso }: World): Promise<void> => {
  const { analyst, reporter, scout } = contoso.agents
  await register(as('alice'), {
    did: analystDid,
    name: 'data-analyst-agent',
    sponsor: { email: 'alice@contoso.onmicrosoft.com', objectId: contoso.sponsors.alice },
    labels: { unit: 'payments' },
    capabilities: ['write:notes'],
    principals: [principal(analyst), principal(contoso.agentUser, 'agentUser', analyst)],
  })
  await register(as('alice'), {
    did: reporterDid,
    name: 'report-writer-agent',
    parentDid: analystDid,
    principals: [principal(reporter)],
  })
  await register(as('registrar'), { did: scoutDid, name: 'market-scout-agent', principals: [principal(scout)] })
}

export const decision = async ({ as }: Daemon, question: object): Promise<unknown> => {
  const answer = await as('gateway').post('/v1/decisions', question)
  assert.equal(answer.status, 200, answer.text)
  return answer.body
}

export const isAllowed = async (daemon: Daemon, question: object): Promise<boolean> =>
  at(await decision(daemon, question), 'allow') === true

export const assertAllowed = async (daemon: Daemon, question: object): Promise<void> => {
  const body = await decision(daemon, question)
  assert.partialDeepStrictEqual(body, { allow: true, codes: [] }, JSON.stringify(body))
}

export const assertDenied = async (daemon: Daemon, question: object, code = 'R_SUSPENDED'): Promise<void> => {
  const body = await decision(daemon, question)
  assert.equal(at(body, 'allow'), false, JSON.stringify(body))
  assert.ok(listAt(body, 'codes').includes(code), JSON.stringify(body))
}

export const agentOf = async ({ as }: Daemon, did: string): Promise<unknown> => {
  const answer = await as('alice').get(path(did))
  assert.equal(answer.status, 200, answer.text)
  return answer.body
}

/** Kills and returns the id of the hold. */
export const kill = async ({ as }: Daemon, did: string, reason = 'policy violation'): Promise<string> => {
  const answer = await as('runtime').post('/v1/kill', { agentId: did, reason, action: 'exfiltrate' })
  assert.equal(answer.status, 202, answer.text)
  return textAt(answer.body, 'holdId')
}

/** The account as the API shows it, once it is as wanted. */
export const account = (
  daemon: Daemon,
  did: string,
  id: string,
  wanted: Readonly<Record<string, unknown>>,
  timeoutMs?: number,
): Promise<unknown> =>
  until(
    `${did} ${id} is ${JSON.stringify(wanted)}`,
    async () => {
      const agent = await agentOf(daemon, did)
      const found = listAt(agent, 'principals').find((one) => at(one, 'id') === id)
      const state = at(found, 'account')
      return Object.entries(wanted).every(([key, value]) => at(state, key) === value) && state
    },
    timeoutMs,
  )

/**
 * Waits until a reading past `settle` confirmed our disable, which closes its leg of every hold: only then does the
 * directory's log reach past it, and a release is not put off.
 */
export const settledOff = async (
  daemon: Daemon,
  did: string,
  id: string,
  marks: readonly string[] = ['ours'],
  timeoutMs?: number,
): Promise<void> => {
  const isClosed = async (hold: unknown): Promise<boolean> => {
    const { body } = await daemon.as('alice').get(path(did, `/receipts/${textAt(hold, 'id')}`))
    const leg = listAt(body, 'legs').find((one) => at(one, 'type') === 'account' && at(one, 'id') === id)
    return at(leg, 'state') === 'closed'
  }
  const isSettled = async (): Promise<boolean> => {
    const agent = await agentOf(daemon, did)
    const state = at(
      listAt(agent, 'principals').find((one) => at(one, 'id') === id),
      'account',
    )
    if (at(state, 'observed') !== 'disabled' || !marks.includes(textAt(state, 'mark'))) return false
    const holds = listAt(agent, 'holds')
    return holds.length > 0 && (await Promise.all(holds.map(isClosed))).every(Boolean)
  }
  await until('a reading past settle of the disabled account', isSettled, timeoutMs)
}

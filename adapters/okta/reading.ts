import { BridgeError } from '../../src/core/errors.ts'
import type { Sighting } from '../../src/core/types.ts'
import type { Clock } from '../../src/lib/clock.ts'
import type { Api, CallOptions } from './api.ts'
import { type Answer, answerError, malformed, type Purpose, parse, wordOf } from './errors.ts'
import type { Kind } from './ids.ts'
import {
  absentSighting,
  agent,
  agentSighting,
  app,
  appSighting,
  pathOf,
  readPurpose,
  user,
  userSighting,
} from './kinds.ts'

/** One reading of one account by its id. */
export interface Reading {
  readonly sighting: Sighting
  /** As Okta calls it; undefined when the account is absent. */
  readonly status: string | undefined
}

export type ReadOptions = Omit<CallOptions, 'purpose'>

/** Okta takes a login where an id is meant: the path of this id leads to somebody else, to whom nothing may be done. */
export class OtherAccount extends BridgeError {
  constructor({ what }: Purpose) {
    super('E_DIRECTORY_ANSWER', `Okta answered with another account to ${what}`, {
      hint: 'another account has this id as its login: rename that, or free the principal',
    })
  }
}

/** What does not exist (error codes, read 2026-11). Some other 404 proves nothing: proxies answer with it too. */
const NOT_FOUND = 'E0000007'
export const isAbsence = ({ status, body }: Answer): boolean => status === 404 && wordOf(body) === NOT_FOUND

/**
 * One account by its id, which is the only read that Okta promises to be up to date: `search` is not, and of `filter`
 * nothing is said (list users, read 2026-11).
 * @throws BridgeError when it could not be read
 */
export async function readOne(
  api: Api,
  clock: Pick<Clock, 'now'>,
  kind: Kind,
  id: string,
  options: ReadOptions,
): Promise<Reading> {
  const purpose = readPurpose[kind]
  const { begunAt, ...answer } = await api.ask({ path: pathOf(kind, id) }, { ...options, purpose })
  if (isAbsence(answer)) return { sighting: absentSighting(id, begunAt), status: undefined }
  if (answer.status === 404) throw malformed(purpose)
  if (answer.status !== 200) throw answerError(answer, purpose, clock.now())
  const read = { byId: true, begunAt }
  const taken = (row: { id: string; status: string }, sighting: Sighting): Reading => {
    if (row.id !== id) throw new OtherAccount(purpose)
    return { sighting, status: row.status }
  }
  if (kind === 'user') {
    const row = parse(user, answer.body, purpose)
    return taken(row, userSighting(row, read))
  }
  if (kind === 'serviceApp') {
    const row = parse(app, answer.body, purpose)
    return taken(row, appSighting(row, read))
  }
  const row = parse(agent, answer.body, purpose)
  return taken(row, agentSighting(row, read))
}

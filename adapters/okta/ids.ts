import type { PrincipalRef } from '../../src/core/adapter.ts'
import { BridgeError } from '../../src/core/errors.ts'

/** People and agents that sign in as one, OAuth service apps, and AI agents (workload principals). */
export const kinds = ['user', 'serviceApp', 'aiAgent'] as const
export type Kind = (typeof kinds)[number]

export const isKind = (text: string): text is Kind => kinds.some((kind) => kind === text)

const ids: Readonly<Record<Kind, RegExp>> = {
  user: /^00u[0-9A-Za-z]{17}$/,
  serviceApp: /^0oa[0-9A-Za-z]{17}$/,
  aiAgent: /^wlp[0-9A-Za-z]{17}$/,
}
/** The id of an account of any kind. Ids differ by case. */
export const anyId: RegExp = /^(00u|0oa|wlp)[0-9A-Za-z]{17}$/
export const groupId: RegExp = /^00g[0-9A-Za-z]{17}$/

export const isId = (kind: Kind, id: string): boolean => ids[kind].test(id)

/** The kind an id tells by its first letters. */
export const kindOfId = (id: string): Kind | undefined => kinds.find((kind) => isId(kind, id))

/** Why no account of this kind can have this id. Okta takes logins in place of ids, so these are refused here. */
export function idFault({ id, kind }: PrincipalRef): BridgeError | undefined {
  const quoted = JSON.stringify(id.slice(0, 64))
  const known = kindOfId(id)
  if (known === undefined) {
    return new BridgeError('E_PRINCIPAL_ID', `${quoted} is not the id of an Okta account`, {
      hint: 'use the id, such as 00u…, 0oa… or wlp…: logins, e-mail addresses and names can change hands',
    })
  }
  if (!isKind(kind) || kind === known) return undefined
  return new BridgeError('E_PRINCIPAL_ID', `${quoted} is not the id of an account of kind ${kind}`, {
    hint: `register it with the kind ${known}`,
  })
}

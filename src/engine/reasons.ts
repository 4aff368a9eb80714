import type { Hold, PrincipalKey } from '../core/types.ts'

/** What settles a hold that nothing can prove: only people know whether the account may be on. */
export const mendText = ({ did, id }: Hold, key: PrincipalKey): string => {
  const release = `POST /v1/agents/${encodeURIComponent(did)}/holds/${id}/release`
  const two = `${release} {"reason":"…"}, then POST /v1/releases/{releaseId}/approve by another client`
  return (
    `Enable ${key.id} in ${key.adapter}, and once the hold is releasable: ${two} (approvers). ` +
    `Or at once, by two operators, the same two calls: the account then stays off until somebody enables it in ${key.adapter}.`
  )
}

/** The reason of an own hold, for operators. */
export const reasonText = (reason: 'disabled' | 'deleted' | 'unproven', key: PrincipalKey): string => {
  if (reason === 'deleted') return `The account ${key.id} does not exist in ${key.adapter} any more.`
  if (reason === 'unproven')
    return `The account ${key.id} in ${key.adapter} is off and nothing proves that the bridge turned it off.`
  return `The account ${key.id} is disabled in ${key.adapter}.`
}

import { highestSeverity } from './account.ts'
import { BridgeError } from './errors.ts'
import type { Hold, Origin, Severity } from './types.ts'

export const ownOrigin = (adapter: string, id: string): Origin => `adapter:${adapter}/${id}`
export const cascadeOrigin = (ancestor: string): Origin => `cascade:${ancestor}`

/** Holds that are not derived from an ancestor. */
export const isOwn = (hold: Pick<Hold, 'origin'>): boolean => !hold.origin.startsWith('cascade:')

export const isDirectory = (hold: Pick<Hold, 'origin'>): boolean => hold.origin.startsWith('adapter:')

/** Rule 10: what a descendant's hold is while an ancestor has these holds of its own; undefined: there is none. */
export const derivedFrom = (own: readonly Hold[]): { severity: Severity; guarded: boolean } | undefined => {
  const top = highestSeverity(own)
  if (top === undefined) return undefined
  return { severity: top === 'decommission' ? 'disable' : top, guarded: own.every((hold) => hold.guarded) }
}

/** Who asks for a release: a verified client and its roles. */
export interface Person {
  readonly name: string
  readonly roles: readonly string[]
}

export type ReleaseRule =
  /** The origin lifts its own hold: done at once. */
  | { readonly how: 'now' }
  /** Needs a second person; the kind says why. */
  | { readonly how: 'two'; readonly kind: 'release' | 'override' | 'approve' }

const isApprover = (person: Person): boolean => person.roles.includes('approver') || person.roles.includes('operator')

/**
 * Rule 5: who may release what.
 *
 * | hold                                   | asked by                  | answer                        |
 * |----------------------------------------|---------------------------|-------------------------------|
 * | decommission                           | anyone                    | never                         |
 * | cascade                                | anyone                    | no: release the ancestor's    |
 * | suspend of `runtime:x` / `operator:x`  | x                         | now                           |
 * | kill                                   | approver, not its actor   | two people                    |
 * | disable                                | operator, not its actor   | two people                    |
 * | directory hold, releasable             | approver                  | two people, then re-read once |
 * | any other                              | operator, not its actor   | two people: override          |
 *
 * @throws BridgeError E_NOT_RELEASABLE, E_FORBIDDEN, E_SAME_PERSON
 */
export const releaseRule = (hold: Hold, person: Person): ReleaseRule => {
  if (hold.severity === 'decommission') {
    throw new BridgeError('E_NOT_RELEASABLE', 'A decommissioned agent is never resumed.', {
      hint: 'Register the replacement under a new DID.',
    })
  }
  if (!isOwn(hold)) {
    throw new BridgeError('E_NOT_RELEASABLE', "This hold follows from an ancestor's hold and ends with it.", {
      hint: `Release the holds of ${hold.origin.slice('cascade:'.length)}.`,
    })
  }
  const isOrigin = hold.origin === `runtime:${person.name}` || hold.origin === `operator:${person.name}`
  if (hold.severity === 'suspend' && isOrigin) return { how: 'now' }
  if (!isApprover(person)) {
    throw new BridgeError('E_FORBIDDEN', 'Only the side that placed this hold, or approvers, can release it.', {
      hint: 'Ask a client with the role approver or operator.',
    })
  }
  if (hold.actor === person.name) {
    throw new BridgeError('E_SAME_PERSON', 'Who placed this hold cannot take part in releasing it.', {
      hint: 'Two other people with the role approver or operator are needed.',
    })
  }
  if (hold.severity === 'kill') return { how: 'two', kind: 'release' }
  if (isDirectory(hold) && hold.releasableAt !== undefined) return { how: 'two', kind: 'approve' }
  if (!person.roles.includes('operator')) {
    throw new BridgeError('E_FORBIDDEN', 'Overriding a hold of another origin takes the role operator.', {
      hint: isDirectory(hold)
        ? 'Enable the account in its directory: the hold then becomes releasable and an approver suffices.'
        : 'Ask two clients with the role operator.',
    })
  }
  return { how: 'two', kind: 'override' }
}

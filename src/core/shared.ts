import type { Context } from './account.ts'
import type { Hold, Origin } from './types.ts'

/**
 * What the holds of its DIDs mean for a shared account (DESIGN §3 rule 16), one list of open holds for each DID.
 *
 * | holds other than the account's own                | the account                                             |
 * |---------------------------------------------------|---------------------------------------------------------|
 * | some DID has none                                 | wanted on, as if no hold were open                      |
 * | every DID has some, and one has guarded ones only | stays as it is: what the guard keeps back moves nothing |
 * | every DID has one that drives                     | wanted off                                              |
 *
 * An own hold on any of the DIDs says for all that somebody else keeps the account off. A DID that is held by nothing
 * but the account's own hold is not held in this sense: what is seen of an account never drives that account.
 */
export const sharedHolds = (
  open: readonly (readonly Hold[])[],
  origin: Origin,
): Pick<Context, 'own' | 'others' | 'ownMissing'> => {
  const owns = open.map((holds) => holds.find((hold) => hold.origin === origin))
  const rest = open.map((holds) => holds.filter((hold) => hold.origin !== origin))
  const theirs = owns.find((own) => own !== undefined && own.releasableAt === undefined)
  const others = rest.every((holds) => holds.length > 0) ? rest.flat() : []
  const drives = rest.every((holds) => holds.some((hold) => !hold.guarded))
  return {
    own: theirs ?? owns.find((own) => own !== undefined),
    ownMissing: owns.includes(undefined),
    others: drives ? others : others.filter((hold) => hold.guarded),
  }
}

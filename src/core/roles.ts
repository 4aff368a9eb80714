/** What a caller of the API may be. */
export const roles = ['reader', 'gateway', 'runtime', 'registrar', 'responder', 'approver', 'operator'] as const
export type Role = (typeof roles)[number]

/** Who has each role: `operator` is registrar, responder and approver too, and all of these read. */
const holders: Readonly<Record<Role, readonly Role[]>> = {
  reader: ['reader', 'registrar', 'responder', 'approver', 'operator'],
  gateway: ['gateway'],
  runtime: ['runtime'],
  registrar: ['registrar', 'operator'],
  responder: ['responder', 'operator'],
  approver: ['approver', 'operator'],
  operator: ['operator'],
}

/** Whether one with the given roles has this one. */
export const holds = (given: readonly Role[], role: Role): boolean =>
  holders[role].some((holder) => given.includes(holder))

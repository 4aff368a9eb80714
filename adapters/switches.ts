import type { AccountState, Switch } from '../src/core/types.ts'

/**
 * The state of an account from its switches: any one off is `disabled`, whatever could not be read; all on is `enabled`;
 * otherwise `unknown`, which is never taken for either (I8).
 */
export function stateOf(switches: readonly Switch[]): AccountState {
  if (switches.some((each) => each.state === 'off')) return 'disabled'
  if (switches.length === 0 || switches.some((each) => each.state === 'unknown')) return 'unknown'
  return 'enabled'
}

/** Whether the switch that the bridge itself writes is known to be off. */
export const offByOurSwitch = (switches: readonly Switch[]): boolean =>
  switches.some((each) => each.ours && each.state === 'off')

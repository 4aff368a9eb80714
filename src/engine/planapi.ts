import type { Plan } from '../core/plan.ts'

export interface Plans {
  /**
   * What the next full pass would change: of one directory, which alone is read then, or of all. Nothing is written, in
   * no directory and not in the store.
   *
   * @throws BridgeError E_ADAPTER_UNKNOWN, E_RATE while another one is being made, E_ABORTED
   */
  plan(adapter: string | undefined, signal: AbortSignal): Promise<Plan>
}

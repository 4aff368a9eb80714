import { BridgeError } from '../core/errors.ts'
import type { Deps, Mount } from './deps.ts'

const mountOf = (code: 'E_NOT_FOUND' | 'E_ADAPTER_UNKNOWN') => (deps: Deps, adapter: string) => {
  const mounts = deps.mounts()
  const mount: Mount | undefined = mounts.get(adapter)
  if (mount !== undefined) return mount
  const names = [...mounts.keys()].join(', ')
  throw new BridgeError(code, `There is no adapter named "${adapter.slice(0, 64)}".`, {
    hint: names === '' ? 'Configure one under adapters.' : `Configured: ${names}.`,
  })
}

/** The adapter whose resource is asked for, as the path of a request names it. @throws BridgeError E_NOT_FOUND */
export const requireMount = mountOf('E_NOT_FOUND')

/** The adapter that a member or a parameter of a request names. @throws BridgeError E_ADAPTER_UNKNOWN */
export const namedMount = mountOf('E_ADAPTER_UNKNOWN')

import type { Contact } from './contact.ts'
import { AgtClientError, type GateCode } from './errors.ts'
import type { Known } from './known.ts'
import type { RegistryLike } from './sdk.ts'

export interface GateVerdict {
  readonly open: boolean
  /** Why it is closed; empty when open. */
  readonly codes: readonly GateCode[]
  /** Ids of the bridge's holds on this DID. */
  readonly holds: readonly string[]
}

export interface Gate {
  /** Whether the agent may act now, by its DID or an alias. Costs no request: everything is known beforehand. */
  check(id: string): GateVerdict
  /**
   * The same, thrown.
   * @throws AgtClientError E_GATE_CLOSED with the codes in `gate`
   */
  assert(id: string): void
}

export interface GateParts {
  readonly known: Known
  readonly contact: Contact
  readonly didOf: (id: string) => string
  readonly registry: RegistryLike | undefined
  /** Called when a gate is found closed: an identity may have come since. */
  readonly align: (did: string) => void
}

/** Longer than any chain that the bridge accepts. */
const maxDepth = 64

export const createGate = ({ known, contact, didOf, registry, align }: GateParts): Gate => {
  /** AGT delegates in memory, without telling anyone: such a child is known only by its parent. */
  const hasClosedAncestor = (id: string): boolean => {
    let child = id
    try {
      for (let depth = 0; depth < maxDepth; depth += 1) {
        const parent = registry?.get(child)?.parentDid
        if (parent === undefined || parent === null) return false
        if (known.isClosed(didOf(parent))) return true
        child = parent
      }
    } catch {
      // A registry that cannot say who the parent is: closed, as a chain without an end is.
    }
    return true
  }

  const contactCodes = (): GateCode[] => {
    const { state } = contact
    if (state === 'current') return []
    return [state === 'stopped' ? 'R_STOPPED' : state === 'silent' ? 'R_SILENT' : 'R_NOT_CURRENT']
  }

  const check: Gate['check'] = (id) => {
    const did = didOf(id)
    const codes = contactCodes()
    if (known.isHeld(did)) codes.push('R_SUSPENDED')
    if (known.isKilled(did)) codes.push('R_KILLED')
    if (known.isClosed(did)) align(did)
    else if (registry !== undefined && hasClosedAncestor(id)) codes.push('R_ANCESTOR')
    return { open: codes.length === 0, codes, holds: known.holdsOf(did).map(({ holdId }) => holdId) }
  }

  return {
    check,
    assert: (id) => {
      const { open, codes } = check(id)
      if (open) return
      const text = `The agent must not act now (${codes.join(', ')}).`
      throw new AgtClientError('E_GATE_CLOSED', text, { did: id, gate: codes })
    },
  }
}

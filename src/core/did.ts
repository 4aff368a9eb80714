import { BridgeError } from './errors.ts'
import type { Did } from './types.ts'

const methods = ['did:agentmesh:', 'did:mesh:']
const maxLength = 512

const printable = /^[\x21-\x7e\u00a0-\ud7ff\ue000-\ufffd]+$/u

/**
 * Accepts what AGT's producers emit (facts: names, fingerprints, uuids, non-ASCII names) and stores it as given: a DID
 * is opaque and compared byte by byte; two spellings of one key are two DIDs.
 * @throws BridgeError E_DID
 */
export const parseDid = (text: unknown): Did => {
  const fault = (why: string) =>
    new BridgeError('E_DID', `The DID is not valid: ${why}.`, {
      hint: 'Use the identifier exactly as the runtime emits it, e.g. did:agentmesh:billing-bot:cded02d79d3822e0.',
    })
  if (typeof text !== 'string') throw fault('it must be a string')
  if (text.length > maxLength) throw fault(`it is longer than ${maxLength} characters`)
  const method = methods.find((prefix) => text.startsWith(prefix))
  if (method === undefined) throw fault('it must start with did:agentmesh: or did:mesh:')
  if (text.length === method.length) throw fault('nothing follows the method')
  if (!printable.test(text)) throw fault('it contains white space, control or unpaired surrogate characters')
  return text
}

/** Whether `parseDid` takes it. */
export const isDid = (text: string): boolean => {
  try {
    parseDid(text)
    return true
  } catch {
    return false
  }
}

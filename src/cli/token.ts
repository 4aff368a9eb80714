import { randomBytes } from 'node:crypto'
import { BridgeError } from '../core/errors.ts'
import { clientToken, sha256Of } from '../lib/clienttoken.ts'
import type { Io } from './io.ts'

const nameForm = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/
const roleForm = /^[a-z]{1,32}$/

export interface TokenOptions {
  readonly name: string
  readonly role: string
  readonly json?: boolean
}

/** Prints a new token, which is kept nowhere, and the lines of configuration that make it one of a client. */
export const tokenNew = (io: Io, { name, role, json }: TokenOptions): void => {
  if (!nameForm.test(name) || !roleForm.test(role)) {
    throw new BridgeError('E_USAGE', 'That is not the name of a client, or not a role.', {
      hint: 'Names have up to 64 letters, digits, ., _ or -; the roles are listed in docs/api.md.',
    })
  }
  const token = clientToken(randomBytes(32))
  const tokenSha256 = sha256Of(token)
  if (json === true) {
    io.out(JSON.stringify({ token, tokenSha256, client: { name, role, tokenSha256 } }))
    return
  }
  // The token alone on standard output: a pipe takes it to where it is kept, and a terminal shows both.
  io.err('The token, shown this once. Whoever has it is the client:\n')
  io.out(token)
  io.err(`\nFor the configuration, under auth.clients (when rotating: only the hash, beside the old one):\n`)
  io.err(`    - name: ${name}\n      role: ${role}\n      tokenSha256: ${tokenSha256}`)
}

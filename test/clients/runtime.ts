/**
 * An agent's process for the tests that end one: attaches, kills its agent when asked to, and says what happens, a line each.
 * Arguments: url, folder, DID, and `kill` or `wait`.
 */
import { argv, stdout } from 'node:process'
import { KillSwitch } from '@microsoft/agent-governance-sdk'
import { attach } from '../../clients/agt/index.ts'
import { tokenOf } from '../e2e/world.ts'

const [url = '', folder = '', did = '', task = 'wait'] = argv.slice(2)
const say = (text: string) => stdout.write(`${text}\n`)
const killSwitch = new KillSwitch()
killSwitch.registerHandler(did, () => {
  say('handler')
})
const bridge = attach({
  url,
  token: tokenOf('runtime'),
  killSwitch,
  folder,
  recordTimeoutMs: 1_000,
  onError: ({ code }) => say(code),
})
say(`gate ${bridge.gate.check(did).codes.join(' ')}`)
if (task === 'kill') {
  await killSwitch.kill(did, { reason: 'policy violation', action: 'exfiltrate' })
  say(`killed, ${bridge.pending} pending`)
} else if (task === 'wait') {
  await bridge.ready()
  say(`ready, ${bridge.pending} pending`)
}
if (task !== 'leave') setInterval(() => undefined, 60_000)

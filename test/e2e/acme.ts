import { type OktaOrg, startOktaOrg } from '../../sandbox/okta/index.ts'
import { HOOK_SECRET, pair, permissions, scopes } from '../adapters/org.ts'
import { type Overrides, settleMs } from './world.ts'

export const audience = 'https://bridge.contoso.com/hooks/acme'
export const logoutClient = '0oa000000000000000L1'

/** An Okta org on loopback and `adapters.acme` of a configuration that has it. */
export const startAcme = async (more: Overrides = {}): Promise<{ org: OktaOrg; acme: Overrides }> => {
  const org = await startOktaOrg({ limits: false, hookTimeoutMs: 20_000 })
  const clientId = org.addApp({ keys: [pair.publicJwk], scopes, permissions, roles: ['REPORT_ADMIN'] })
  const acme = {
    kind: 'okta',
    orgUrl: org.origin,
    credential: { type: 'privateKey', clientId, key: JSON.stringify(pair.privateJwk) },
    settle: `${settleMs}ms`,
    sync: { accounts: '* * * * * *' },
    hooks: { eventHook: { secret: HOOK_SECRET }, universalLogout: { audience, clientIds: [logoutClient] } },
    ...more,
  }
  return { org, acme }
}

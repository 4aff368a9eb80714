import { type Io, paint } from '../../src/cli/io.ts'
import type { Company, Tokens } from './settings.ts'

export interface TourInput {
  readonly bridge: string
  readonly entra: string
  readonly okta: string
  readonly aws: string
  /** Where it is looked at and changed. */
  readonly spire: string
  readonly company: Company
  readonly tokens: Tokens
  readonly store: string
  /** File of the key that signs. */
  readonly key: string
}

/** The short tour that `npm start` prints: commands to paste into another terminal, in order. */
export const tour = (io: Io, { aws, bridge, company, entra, key, okta, spire, store, tokens }: TourInput): string => {
  const { bold, dim, green } = paint(io)
  const analyst = 'did:agentmesh:data-analyst:a7f3b2c1d4e5f607'
  const post = (token: string, path: string, body: object) =>
    `  curl -sw '\\n' "${bridge}${path}" -H "authorization: Bearer ${token}" -H 'content-type: application/json' -d '${JSON.stringify(body)}'`
  const get = (token: string, path: string, flags = `-sw '\\n'`) =>
    `  curl ${flags} "${bridge}${path}" -H "authorization: Bearer ${token}"`
  /** Runs the command, shows its answer and keeps one member of it in a shell variable. */
  const keep = (name: string, command: string, member: string) =>
    `  ${name}=$(${command.trim()} | tee /dev/stderr | sed 's/.*"${member}":"\\([^"]*\\)".*/\\1/')`
  const inEntra = (words: string) =>
    `  npm run -s idp-bridge -- sandbox entra ${words}${entra.endsWith(':8490') ? '' : ` --url ${entra}`}`
  const inOkta = (words: string) =>
    `  npm run -s idp-bridge -- sandbox okta ${words}${okta.endsWith(':8491') ? '' : ` --url ${okta}`}`
  const inAws = (words: string) =>
    `  npm run -s idp-bridge -- sandbox aws ${words}${aws.endsWith(':8492') ? '' : ` --url ${aws}`}`
  const inSpire = (words: string) =>
    `  npm run -s idp-bridge -- sandbox spire ${words}${spire.endsWith(':8493') ? '' : ` --url ${spire}`}`
  return [
    '',
    bold('agentmesh-idp-bridge is running against a local Entra tenant, Okta org, AWS accounts and SPIRE'),
    `  bridge   ${green(bridge)}   API docs: ${bridge}/docs`,
    `  Entra    ${green(entra)}`,
    `  Okta     ${green(okta)}`,
    `  AWS      ${green(aws)}`,
    `  SPIRE    ${green(spire)}`,
    dim('  4 agents are registered; everything is on loopback and gone when you stop it (Ctrl-C).'),
    '',
    bold('1. May this agent act?') +
      dim('   (allowed: its accounts are on and it is in a group that grants the capability)'),
    post(tokens.gateway, '/v1/decisions', { did: analyst, capability: 'read:reports' }),
    '',
    bold('2. Watch what runtimes are told') + dim('   (leave it running)'),
    get(tokens.runtime, '/v1/signals', '-sN'),
    '',
    bold('3. A runtime fires its kill switch') +
      dim('   (repeat step 1: denied at once; the child agent is stopped too)'),
    keep('HOLD', post(tokens.runtime, '/v1/kill', { agentId: analyst, reason: 'policy violation' }), 'holdId'),
    inEntra('list'),
    inOkta('list'),
    inAws('list'),
    inSpire('list'),
    dim('  its receipt: every account, runtime and descendant, signed, and checked without asking the bridge'),
    `${get(tokens.alice, `/v1/agents/${analyst}/receipts/$HOLD`, '-s')} | npm run -s idp-bridge -- receipt verify - --key ${key}`,
    '',
    bold('4. Two people release it') +
      dim('   (the accounts are switched on again once the log shows that we switched them off)'),
    keep(
      'RELEASE',
      post(tokens.alice, `/v1/agents/${analyst}/holds/$HOLD/release`, { reason: 'false alarm' }),
      'releaseId',
    ),
    post(tokens.bob, '/v1/releases/$RELEASE/approve', {}),
    '',
    bold('5. An administrator disables an account in Entra') + dim('   (the agent stops in every runtime)'),
    inEntra(`disable ${company.entra.agents.scout}`),
    post(tokens.gateway, '/v1/decisions', { did: 'did:mesh:34872769aa0c4d5e8f90123456789abc' }),
    '',
    bold('6. Another suspends a user in Okta') + dim('   (the same agent is switched off in Entra, too)'),
    inOkta(`disable ${company.okta.agents.reconciler}`),
    inEntra('list'),
    '',
    bold('7. A third disables a user of Identity Center in AWS') + dim('   (that agent stops, too)'),
    inAws(`disable ${company.aws.reporter}`),
    post(tokens.gateway, '/v1/decisions', { did: 'did:agentmesh:report-writer:0b1c2d3e4f506172' }),
    '',
    bold('8. An agent leaves a group') +
      dim('   (the capability it gave is gone; those of its own and of its blueprint stay)'),
    inEntra(`leave ${company.entra.groups.customerData} ${company.entra.agents.analyst}`),
    get(tokens.alice, `/v1/agents/${analyst}`),
    '',
    bold('9. Read the audit chain and check it'),
    get(tokens.alice, '/v1/audit?limit=5'),
    `  npm run -s idp-bridge -- audit verify --store ${store}`,
    '',
  ].join('\n')
}

import type { Command } from 'commander'
import type { Io } from '../../src/cli/io.ts'

interface Directory {
  readonly name: string
  readonly text: string
  readonly port: number
  /** Of the control API: what a list shows. */
  readonly list: string
  /** What a person can do to an account. */
  readonly flips: Readonly<Record<string, string>>
  readonly hasGroups: boolean
}

const directories: readonly Directory[] = [
  {
    name: 'entra',
    text: 'the running local Entra tenant',
    port: 8490,
    list: 'agentIdentities',
    flips: {
      disable: 'disable an account, as an administrator does',
      enable: 'enable an account',
      'disable-by-microsoft': 'switch an account off with the switch only the vendor has',
      'enable-by-microsoft': 'take that back',
      remove: 'delete an object (it can be restored)',
      restore: 'restore a deleted object',
    },
    hasGroups: true,
  },
  {
    name: 'okta',
    text: 'the running local Okta org',
    port: 8491,
    list: 'objects',
    flips: {
      disable: 'suspend a user, or deactivate an app or an AI agent, as an administrator does',
      enable: 'take that back',
      'lock-out': 'lock a user out, as too many failed sign-ins do',
      unlock: 'unlock a user',
      remove: 'delete an account for good',
    },
    hasGroups: true,
  },
  {
    name: 'aws',
    text: 'the running local AWS accounts',
    port: 8492,
    list: 'objects',
    flips: {
      disable: 'deny a role everything, or disable an Identity Center user, as an administrator does',
      enable: 'take every such denial from a role, or enable a user',
      remove: 'delete an account for good',
      recreate: 'delete a role and make it anew: the same ARN, another id',
    },
    hasGroups: true,
  },
  {
    name: 'spire',
    text: 'the running local SPIRE',
    port: 8493,
    list: 'objects',
    flips: {
      disable: 'suspend every entry of a workload, as an administrator does',
      enable: 'take that back',
      remove: 'delete every entry of a workload',
    },
    hasGroups: false,
  },
]

const act = () => import('./local.ts')

/** `idp-bridge sandbox …`: local directories for trying the bridge out. */
export const sandboxCommands = (program: Command, io: Io): void => {
  const local = program
    .command('sandbox')
    .description(
      'start a local Entra tenant, a local Okta org, local AWS accounts, a local SPIRE and the daemon on them, and print a tour',
    )
    .option('-p, --port <port>', 'port of the daemon', '8480')
    .option('--entra-port <port>', 'port of the tenant', '8490')
    .option('--okta-port <port>', 'port of the org', '8491')
    .option('--aws-port <port>', 'port of the accounts', '8492')
    .option('--spire-port <port>', 'port to look at and change SPIRE by', '8493')
    .option('--log <level>', 'log level of the daemon', 'warn')
    .action(async (options) => (await import('./start.ts')).sandbox(io, options))
  for (const directory of directories) commandsOf(local, io, directory)
}

const commandsOf = (local: Command, io: Io, { flips, hasGroups, list, name, port, text }: Directory): void => {
  const directory = local.command(name).description(`look at and change ${text}`)
  const url = ['--url <url>', 'where it listens', `http://127.0.0.1:${port}`] as const
  directory
    .command('list')
    .description('accounts and whether they are enabled')
    .option(...url)
    .option('--json', 'machine-readable output')
    .action(async (options) => (await act()).list(io, { ...options, directory: name }, list))
  directory
    .command('show <id>')
    .description('one account as it really is')
    .option(...url)
    .action(async (id, options) => (await act()).show(io, id, { ...options, directory: name }))
  for (const [flip, does] of Object.entries(flips)) {
    directory
      .command(`${flip} <id>`)
      .description(does)
      .option(...url)
      .action(async (id, options) => (await act()).flip(io, flip, id, { ...options, directory: name }))
  }
  if (!hasGroups) return
  for (const [move, does] of [
    ['join', 'add a member to a group'],
    ['leave', 'remove a member from a group'],
  ] as const) {
    directory
      .command(`${move} <group> <id>`)
      .description(does)
      .option(...url)
      .action(async (group, id, options) =>
        (await act()).membership(io, move, group, id, { ...options, directory: name }),
      )
  }
}

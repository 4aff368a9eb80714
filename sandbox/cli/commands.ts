import type { Command } from 'commander'
import type { Io } from '../../src/cli/io.ts'

/** What a person can do to an object of the local tenant. */
const flips: Readonly<Record<string, string>> = {
  disable: 'disable an account, as an administrator does',
  enable: 'enable an account',
  'disable-by-microsoft': 'switch an account off with the switch only the vendor has',
  'enable-by-microsoft': 'take that back',
  remove: 'delete an object (it can be restored)',
  restore: 'restore a deleted object',
}

const act = () => import('./entra.ts')

/** `idp-bridge sandbox …`: local tenants for trying the bridge out. */
export const sandboxCommands = (program: Command, io: Io): void => {
  const local = program
    .command('sandbox')
    .description('start a local Entra tenant and the daemon on it, on loopback, and print a tour')
    .option('-p, --port <port>', 'port of the daemon', '8480')
    .option('--entra-port <port>', 'port of the tenant', '8490')
    .option('--log <level>', 'log level of the daemon', 'warn')
    .action(async (options) => (await import('./start.ts')).sandbox(io, options))

  const entra = local.command('entra').description('look at and change the running local tenant')
  const url = ['--url <url>', 'where the tenant listens', 'http://127.0.0.1:8490'] as const
  entra
    .command('list')
    .description('agent identities and whether they are enabled')
    .option(...url)
    .option('--json', 'machine-readable output')
    .action(async (options) => (await act()).list(io, options))
  entra
    .command('show <id>')
    .description('one object as it really is')
    .option(...url)
    .action(async (id, options) => (await act()).show(io, id, options))
  for (const [name, text] of Object.entries(flips)) {
    entra
      .command(`${name} <id>`)
      .description(text)
      .option(...url)
      .action(async (id, options) => (await act()).flip(io, name, id, options))
  }
  for (const [name, text] of [
    ['join', 'add a member to a group'],
    ['leave', 'remove a member from a group'],
  ] as const) {
    entra
      .command(`${name} <group> <id>`)
      .description(text)
      .option(...url)
      .action(async (group, id, options) => (await act()).membership(io, name, group, id, options))
  }
}

import type { Command } from 'commander'
import type { Io } from '../../src/cli/io.ts'
import { flip, flips, list, membership, show } from './entra.ts'
import { sandbox } from './start.ts'

/** `idp-bridge sandbox …`: local tenants for trying the bridge out. */
export const sandboxCommands = (program: Command, io: Io): void => {
  const local = program
    .command('sandbox')
    .description('start a local Entra tenant and the daemon on it, on loopback, and print a tour')
    .option('-p, --port <port>', 'port of the daemon', '8480')
    .option('--entra-port <port>', 'port of the tenant', '8490')
    .option('--log <level>', 'log level of the daemon', 'warn')
    .action((options) => sandbox(io, options))

  const entra = local.command('entra').description('look at and change the running local tenant')
  const url = ['--url <url>', 'where the tenant listens', 'http://127.0.0.1:8490'] as const
  entra
    .command('list')
    .description('agent identities and whether they are enabled')
    .option(...url)
    .option('--json', 'machine-readable output')
    .action((options) => list(io, options))
  entra
    .command('show <id>')
    .description('one object as it really is')
    .option(...url)
    .action((id, options) => show(io, id, options))
  for (const [name, text] of Object.entries(flips)) {
    entra
      .command(`${name} <id>`)
      .description(text)
      .option(...url)
      .action((id, options) => flip(io, name, id, options))
  }
  for (const [name, text] of [
    ['join', 'add a member to a group'],
    ['leave', 'remove a member from a group'],
  ] as const) {
    entra
      .command(`${name} <group> <id>`)
      .description(text)
      .option(...url)
      .action((group, id, options) => membership(io, name, group, id, options))
  }
}

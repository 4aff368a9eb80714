import { Command } from 'commander'
import { sandboxCommands } from '../../sandbox/cli/commands.ts'
import type { Io } from './io.ts'
import { remote, remoteCommands } from './remote.ts'
import { version } from './version.ts'

const storeHelp = 'store to read instead of the configured one: sqlite:<file>'
const configHelp = 'configuration file (default: IDP_BRIDGE_CONFIG)'

const exitCodes = `
Exit codes: 0 as asked · 2 there are differences · 64 usage
            69 not reachable · 70 bug or broken chain · 75 try later
            77 not permitted · 78 configuration`

const collect = (value: string, before: readonly string[]): readonly string[] => [...before, value]

/**
 * The command line. `finish` is given the exit code of commands that have one of their own. What a command needs is
 * loaded when it runs: `--help` would otherwise wait for the whole daemon.
 */
export const createProgram = (io: Io, finish: (exit: number) => void): Command => {
  const program = new Command('idp-bridge')
    .description('Maps AI agents to directory accounts and mirrors suspensions both ways.')
    .version(version)
    .showHelpAfterError('(add --help for the options)')
    .configureOutput({ writeOut: (text) => io.out(text.trimEnd()), writeErr: (text) => io.err(text.trimEnd()) })
    .exitOverride()
    .addHelpText('after', exitCodes)

  program
    .command('run')
    .description('run the daemon')
    .option('-c, --config <file>', configHelp)
    .action(async (options) => (await import('./run.ts')).run(io, options))

  program
    .command('check-config')
    .description('check a configuration file: every fault at once')
    .option('-c, --config <file>', configHelp)
    .option('--json', 'machine-readable output')
    .action(async (options) => finish((await import('./check.ts')).checkConfig(io, options)))

  const token = program.command('token').description('tokens of clients')
  token
    .command('new')
    .description('make one: printed once, kept nowhere; with its SHA-256 for the configuration')
    .option('--name <name>', 'of the client, in the lines to paste', 'new-client')
    .option('--role <role>', 'of the client, in the lines to paste', 'reader')
    .option('--json', 'machine-readable output')
    .action(async (options) => (await import('./token.ts')).tokenNew(io, options))

  const audit = program.command('audit').description('the audit chain')
  audit
    .command('verify')
    .description('walk the chain in the database; names the first bad entry')
    .option('-c, --config <file>', configHelp)
    .option('--store <url>', storeHelp)
    .option('--head <jws>', 'signed head from the log (auditHeadSigned): proves that no entry was cut off')
    .option('--key <file>', 'PEM of the key that signed it, public or private')
    .option('--json', 'machine-readable output')
    .action(async (options) => finish(await (await import('./audit.ts')).auditVerify(io, options)))

  remote(audit.command('export'))
    .description('the audit log of a running daemon, a line an entry; role reader')
    .option('--format <format>', 'jsonl or cloudevents', 'jsonl')
    .option('--from <time>', 'RFC 3339, or a day (UTC)')
    .option('--to <time>', 'RFC 3339, or a day (UTC), that day included')
    .option('--after <seq>', 'only entries after this one')
    .option('--out <file>', 'the file to make, whole or not at all')
    .option('--force', 'replace the file if it is there')
    .action(async (options) => finish(await (await import('./auditexport.ts')).auditExport(io, options)))

  const receipt = program.command('receipt').description('receipts of holds')
  receipt
    .command('verify <file>')
    .description('check the signature of a receipt, offline; - reads standard input')
    .option('--jwks <file>', 'key set of the bridge, from /.well-known/jwks.json; may be repeated', collect, [])
    .option('--key <file>', 'PEM of a key that signs, public or private; may be repeated', collect, [])
    .option('--json', 'machine-readable output')
    .action(async (file, options) => finish(await (await import('./receipt.ts')).receiptVerify(io, file, options)))

  const passport = program.command('passport').description('signed statements about agents, checked offline')
  remote(passport.command('issue <did>'))
    .description('have a running daemon issue one; prints it alone')
    .option('--lifetime <duration>', 'shorter than the configured one, e.g. 5m')
    .option('--audience <name>', 'whom it is for')
    .option('--capability <name>', 'fewer than the agent has; may be repeated', collect, [])
    .option('--key <thumbprint>', 'the key of the agent to bind it to')
    .option('--json', 'machine-readable output')
    .action(async (did, options) => finish(await (await import('./passport.ts')).passportIssue(io, did, options)))
  passport
    .command('verify <file>')
    .description('check one by what is named here and nothing else; - reads standard input')
    .option('--jwks <source>', 'key set of the bridge, file or URL; may be repeated', collect, [])
    .option('--key <file>', 'PEM of a key that signs, public or private; may be repeated', collect, [])
    .option('--revoked <source>', 'its jwks-revoked.json, file or URL')
    .option('--status-list <source>', 'the status list that the passport names, file or URL')
    .option('--no-status-list', 'do not ask whether the agent is suspended')
    .option('--issuer <url>', 'who must have issued it')
    .option('--audience <name>', 'who checks')
    .option('--json', 'machine-readable output')
    .action(async (file, options) => finish(await (await import('./passport.ts')).passportVerify(io, file, options)))

  const guard = program.command('guard').description('what the blast-radius guard of a running daemon holds back')
  remote(guard.command('show [adapter]'))
    .description('whether it is tripped, and the plan that waits')
    .option('--json', 'machine-readable output, every row')
    .action(async (adapter, options) => finish(await (await import('./guard.ts')).guardShow(io, adapter, options)))
  remote(guard.command('approve <adapter> <hash>'))
    .description('approve the plan of this hash; takes two people')
    .option('--json', 'machine-readable output')
    .action(async (adapter, hash, options) =>
      finish(await (await import('./guard.ts')).guardApprove(io, adapter, hash, options)),
    )

  program
    .command('backup')
    .description('copy the store into a new file, beside a running daemon, and check the copy')
    .argument('<file>', 'the file to make')
    .option('-c, --config <file>', configHelp)
    .option('--store <url>', storeHelp)
    .option('--force', 'replace the file if it is there')
    .option('--json', 'machine-readable output')
    .action(async (file, options) => (await import('./backup.ts')).backup(io, file, options))

  program
    .command('restore')
    .description('put a backup in the place of the store, with the daemon stopped; the old one is kept')
    .argument('<backup>', 'a file that backup made')
    .option('-c, --config <file>', configHelp)
    .option('--store <url>', 'store to replace instead of the configured one')
    .option('--json', 'machine-readable output')
    .action(async (file, options) => (await import('./restore.ts')).restore(io, file, options))

  program
    .command('migrate')
    .description('bring the store to the version of this program, with the daemon stopped; a copy is kept')
    .option('-c, --config <file>', configHelp)
    .option('--store <url>', 'store to migrate instead of the configured one')
    .option('--dry-run', 'only say whether there is something to do: 2 when there is')
    .option('--json', 'machine-readable output')
    .action(async (options) => finish(await (await import('./migrate.ts')).migrate(io, options)))

  remoteCommands(program, io, finish)
  sandboxCommands(program, io)
  program
    .command('completion <shell>')
    .description('completion for bash, zsh or fish: source what it prints')
    .action(async (shell) => io.out((await import('./completion.ts')).completionOf(program, shell)))
  return program
}

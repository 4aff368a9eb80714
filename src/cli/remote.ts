import type { Command } from 'commander'
import type { Io } from './io.ts'

/** The token is never an argument: every process of the host could read it. */
export const remote = (command: Command): Command =>
  command
    .option('--url <url>', 'the daemon (default: IDP_BRIDGE_URL)')
    .option('--token-file <file>', 'your bearer token (default: IDP_BRIDGE_TOKEN)')
    .option('--ca-file <file>', "PEM of the authority of the daemon's certificate")

export const json = (command: Command): Command => command.option('--json', 'machine-readable output')

/** Commands on agents and holds of a running daemon, and what happens there. */
export const remoteCommands = (program: Command, io: Io, finish: (exit: number) => void): void => {
  agentCommands(program, io, finish)
  holdCommands(program, io, finish)
  json(
    remote(
      program
        .command('plan')
        .description('what the next full pass would change; touches nothing. Exit 2: differences')
        .option('--adapter <name>', 'read this directory only'),
    ),
  ).action(async (options) => finish(await (await import('./plan.ts')).plan(io, options)))
  json(
    remote(
      program
        .command('doctor')
        .description('what is wrong with a daemon and its directories, and what mends it')
        .option('--adapter <name>', 'this directory alone')
        .option('--verbose', 'what is right, too'),
    ),
  ).action(async (options) => finish(await (await import('./doctor.ts')).doctor(io, options)))
  json(
    remote(
      program
        .command('discover <adapter>')
        .description('accounts of a directory that no DID maps, and DIDs whose account is gone')
        .option('--out <file>', 'write the first as a file for agents import: .csv, .json or .jsonl')
        .option('--force', 'replace the file if it is there')
        .option('--only <finding>', 'unmapped or gone')
        .option('--all', "also accounts that nothing says to be an agent's"),
    ),
  ).action(async (adapter, options) => finish(await (await import('./discover.ts')).discover(io, adapter, options)))
  json(
    remote(
      program
        .command('events')
        .description('follow signals (role runtime) and the audit log (role reader) live')
        .option('--only <source>', 'signals or audit')
        .option('--last-event-id <id>', 'take the signals up after this one')
        .option('--after <seq>', 'audit entries after this one (default: from now on)'),
    ),
  ).action(async (options) => finish(await (await import('./events.ts')).events(io, options)))
}

const columns = `
A file is CSV with a head, a JSON array, or JSON lines. JSON has agents as
POST /v1/agents takes them. The columns of CSV, in any order:

  did, name                           needed
  sponsor.email, sponsor.objectId, blueprint, parentDid
  labels.<name>                       one column a label
  capabilities, aliases, keys         several, separated by ;
  principal.adapter, principal.id, principal.kind
  principal.appId, principal.scopes, principal.shared
  principal2.adapter …                further accounts, to principal9

All rows are registered or none. Importing a file again changes nothing.`

const agentCommands = (program: Command, io: Io, finish: (exit: number) => void): void => {
  const agents = program.command('agents').description('agents of a running daemon')
  json(
    remote(
      agents
        .command('import <file>')
        .description('register many agents: all are checked first; - reads standard input')
        .option('--format <format>', 'csv, json or jsonl (default: by name or content)')
        .option('--dry-run', 'check only')
        .addHelpText('after', columns),
    ),
  ).action(async (file, options) => finish(await (await import('./importing.ts')).agentsImport(io, file, options)))
  json(
    remote(
      agents
        .command('list')
        .description('agents, in the order of DIDs')
        .option('--status <status>', 'active, suspended or decommissioned')
        .option('--sponsor <sponsor>', 'e-mail address or object id')
        .option('--blueprint <name>', 'those that carry it')
        .option('--adapter <name>', 'those with an account there')
        .option('--label <name=value>', 'those that carry it')
        .option('--search <text>', 'part of the DID or name')
        .option('--limit <n>', 'at most so many', '100'),
    ),
  ).action(async (options) => finish(await (await import('./agents.ts')).agentsList(io, options)))
  json(remote(agents.command('show <did>').description('one agent, its accounts and open holds'))).action(
    async (did, options) => finish(await (await import('./agents.ts')).agentsShow(io, did, options)),
  )
}

const holdCommands = (program: Command, io: Io, finish: (exit: number) => void): void => {
  const holds = program.command('holds').description('why agents must not act')
  const load = () => import('./holds.ts')
  json(
    remote(
      holds
        .command('list [did]')
        .description('open holds of all agents, or all holds of one')
        .option('--limit <n>', 'of so many agents, or so many holds of one', '100'),
    ),
  ).action(async (did, options) => finish(await (await load()).holdsList(io, did, options)))
  json(
    remote(
      holds
        .command('place <did>')
        .description('suspend an agent: denied from the answer on')
        .option('--reason <text>', 'why, for operators')
        .option('--severity <severity>', 'suspend, kill or disable', 'suspend')
        .option('--public-reason <text>', 'what gateways and the agent may see')
        .option('--on-behalf-of <who>', 'recorded as you say it'),
    ),
  ).action(async (did, options) => finish(await (await load()).holdsPlace(io, did, options)))
  json(
    remote(
      holds
        .command('release <did> <holdId>')
        .description('lift a hold; a kill and an override take two people')
        .option('--reason <text>', 'why, for operators'),
    ),
  ).action(async (did, holdId, options) => finish(await (await load()).holdsRelease(io, did, holdId, options)))
  json(
    remote(holds.command('approve <releaseId>').description('complete, as the second person, a release that waits')),
  ).action(async (releaseId, options) => finish(await (await load()).holdsApprove(io, releaseId, options)))
}

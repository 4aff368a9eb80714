import type { Command } from 'commander'
import { usage } from './files.ts'

/** One command as a shell needs it. */
interface Node {
  /** Names after `idp-bridge`, '' for none. */
  readonly path: string
  readonly commands: readonly { readonly name: string; readonly says: string }[]
  readonly options: readonly { readonly flags: readonly string[]; readonly says: string; readonly takes: boolean }[]
}

const name = 'idp-bridge'

/** Every command of the tree, the root first. */
const nodesOf = (command: Command, path: readonly string[] = []): Node[] => {
  const help = command.createHelp()
  const commands = help.visibleCommands(command)
  const options = help.visibleOptions(command).map(({ description, long, optional, required, short }) => ({
    flags: [short, long].filter((flag) => flag !== undefined),
    says: description,
    takes: required || optional,
  }))
  const node: Node = {
    path: path.join(' '),
    commands: commands.map((one) => ({ name: one.name(), says: help.subcommandDescription(one) })),
    options,
  }
  const below = commands.filter((one) => one.name() !== 'help')
  return [node, ...below.flatMap((one) => nodesOf(one, [...path, one.name()]))]
}

/** Quoted for every one of the shells. */
const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`

const flagsOf = ({ options }: Node): string[] => options.flatMap(({ flags }) => flags)

const bash = (nodes: readonly Node[]): string => {
  const paths = nodes.filter(({ path }) => path !== '').map(({ path }) => quoted(path))
  const words = nodes.map((node) => {
    const list = [...node.commands.map((one) => one.name), ...flagsOf(node)].join(' ')
    return `    ${quoted(node.path)}) words=${quoted(list)} ;;`
  })
  const taking = nodes.map((node) => {
    const flags = node.options.filter(({ takes }) => takes).flatMap((one) => one.flags)
    return flags.length === 0 ? '' : `    ${flags.map((flag) => quoted(`${node.path}:${flag}`)).join('|')}) return ;;`
  })
  return `# ${name} completion for bash: source <(${name} completion bash)
_idp_bridge() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} path='' words='' word
  local i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="\${path:+$path }\${COMP_WORDS[i]}"
    case "$word" in
      ${paths.join('|')}) path=$word ;;
    esac
  done
  case "$path:$prev" in
${taking.filter((line) => line !== '').join('\n')}
  esac
  case "$path" in
${words.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -o bashdefault -o default -F _idp_bridge ${name}`
}

const zsh = (nodes: readonly Node[]): string => {
  const described = (word: string, says: string) => quoted(`${word.replaceAll(':', '\\:')}:${says}`)
  const cases = nodes.map((node) => {
    const commands = node.commands.map((one) => described(one.name, one.says))
    const options = node.options.flatMap(({ flags, says }) => flags.map((flag) => described(flag, says)))
    return `    ${quoted(node.path)}) commands=(${commands.join(' ')}); options=(${options.join(' ')}) ;;`
  })
  const paths = nodes.filter(({ path }) => path !== '').map(({ path }) => quoted(path))
  return `#compdef ${name}
# ${name} completion for zsh: source <(${name} completion zsh)
_idp_bridge() {
  local path_='' word
  local -a commands options
  for word in \${words[2,CURRENT-1]}; do
    case "\${path_:+$path_ }$word" in
      ${paths.join('|')}) path_="\${path_:+$path_ }$word" ;;
    esac
  done
  case "$path_" in
${cases.join('\n')}
  esac
  (( \${#commands} )) && _describe command commands
  [[ $PREFIX == -* ]] && _describe option options
  (( \${#commands} )) || _files
}
compdef _idp_bridge ${name}`
}

const fish = (nodes: readonly Node[]): string => {
  const lines = nodes.flatMap((node) => {
    const at = `-n ${quoted(`__idp_bridge_at ${quoted(node.path)}`)}`
    return [
      ...node.commands.map((one) => `complete -c ${name} ${at} -f -a ${quoted(one.name)} -d ${quoted(one.says)}`),
      ...node.options.map(({ flags, says, takes }) => {
        const each = flags.map((flag) => (flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`))
        return `complete -c ${name} ${at} ${each.join(' ')}${takes ? ' -r' : ''} -d ${quoted(says)}`
      }),
    ]
  })
  const paths = nodes.filter(({ path }) => path !== '').map(({ path }) => quoted(path))
  return `# ${name} completion for fish: ${name} completion fish | source
function __idp_bridge_at
  set -l path
  for word in (commandline -opc)[2..-1]
    set -l next (string join ' ' $path $word)
    if contains -- $next ${paths.join(' ')}
      set path $path $word
    end
  end
  test "$path" = "$argv[1]"
end
${lines.join('\n')}`
}

const shells = { bash, zsh, fish } as const

/** What a shell sources to complete this command line. @throws BridgeError E_USAGE */
export const completionOf = (program: Command, shell: string): string => {
  if (shell === 'bash' || shell === 'zsh' || shell === 'fish') return shells[shell](nodesOf(program))
  throw usage(`${shell} is no shell that is known here.`, 'Write bash, zsh or fish.')
}

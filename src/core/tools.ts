import { allFit, type Constraint, constraintOf, fits, isSmallObject } from './constraints.ts'

/** One tool of a server, and what calling it takes. */
export interface ToolRule {
  readonly name: string
  /** What an agent needs to call it: the only grant there is. */
  readonly capability: string
  /** On what it may be called. */
  readonly resource?: Constraint | undefined
  /** What its parameters must be, each by its JSON pointer (RFC 6901). Without it they may be anything. */
  readonly parameters?: Readonly<Record<string, Constraint>> | undefined
  /** Whether parameters that no pointer names may be there. */
  readonly otherParameters: 'allow' | 'deny'
}

/** The same as people write it: tools by name. */
export interface WrittenToolServer {
  readonly description?: string | null | undefined
  readonly resource?: string | null | undefined
  readonly unlisted: string
  readonly tools: Readonly<Record<string, Omit<ToolRule, 'name'>>>
}

/** What is said of the tools of one server (MCP or any other). */
export interface ToolServerDefinition {
  readonly description?: string | undefined
  /** Its resource identifier (RFC 8707); compared byte by byte. */
  readonly resource?: string | undefined
  /** What a tool that is not listed takes; undefined: none but those listed may be called. */
  readonly unlisted?: string | undefined
  /** In the order of their names, each once. */
  readonly tools: readonly ToolRule[]
}

/** `config`: from the file, and in force whatever else has the name. `api`: put there by a registrar. */
export type ToolServerOrigin = 'config' | 'api'

export interface ToolServer extends ToolServerDefinition {
  readonly name: string
  readonly origin: ToolServerOrigin
  readonly createdAt: number
  readonly updatedAt: number
  readonly revision: number
}

/** All of it that a decision reads. */
export type JudgedToolServer = Pick<ToolServer, 'name' | 'resource' | 'unlisted' | 'tools'>

/** What a decision on a call reads. */
export interface ToolReads {
  /** The server in force that is called this: by its name, or by its resource identifier. */
  toolServer(called: string): Promise<JudgedToolServer | undefined>
}

export interface ToolServerReads extends ToolReads {
  toolServer(called: string): Promise<ToolServer | undefined>
  /** Those in force after this name, in byte order. */
  toolServers(after: string, limit: number): Promise<ToolServer[]>
  /** In force or not, in byte order of names. */
  toolServersFrom(origin: ToolServerOrigin): Promise<ToolServer[]>
}

export interface ToolServerWrites {
  /** In place of the one of the same name and origin. */
  putToolServer(server: ToolServer): Promise<void>
  dropToolServer(name: string, origin: ToolServerOrigin): Promise<void>
}

/** No name is a URI: whatever a question calls a server is one or the other. */
export const toolServerName = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/

/** Up to 128 characters; white space only within, nothing that cannot be seen. */
export const toolName = /^(?=.{1,128}$)(?!__proto__$)[^\s\p{C}]([^\p{C}]*[^\s\p{C}])?$/u

/**
 * Whether it can be a resource identifier: an absolute URI without a fragment (RFC 8707), in the one form that URL parsers
 * write, so that nobody has to guess how others spell it. A root may go without its `/`.
 */
export const isResource = (text: string): boolean => {
  if (text.length > 2048 || text.includes('#') || !URL.canParse(text)) return false
  const { href, username, password } = new URL(text)
  return username === '' && password === '' && (href === text || href === `${text}/`)
}

/** Of one server, as JSON: what is read for every question is never large. */
const mostBytes = 64 * 1024
export const isSmallDefinition = (definition: ToolServerDefinition): boolean =>
  Buffer.byteLength(JSON.stringify(definition)) <= mostBytes

const ruleOf = ({ name, capability, resource, parameters, otherParameters }: ToolRule): ToolRule => ({
  name,
  capability,
  ...(resource !== undefined && { resource: constraintOf(resource) }),
  ...(parameters !== undefined && {
    parameters: Object.fromEntries(
      Object.entries(parameters)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([pointer, constraint]) => [pointer, constraintOf(constraint)]),
    ),
  }),
  otherParameters,
})

/** The same, written in one way. */
export const toolServerOf = ({
  description,
  resource,
  tools,
  unlisted,
}: ToolServerDefinition): ToolServerDefinition => ({
  ...(description !== undefined && { description }),
  ...(resource !== undefined && { resource }),
  ...(unlisted !== undefined && { unlisted }),
  tools: tools.map(ruleOf).sort((a, b) => (a.name < b.name ? -1 : 1)),
})

/** @see WrittenToolServer */
export const writtenServer = ({ description, resource, tools, unlisted }: WrittenToolServer): ToolServerDefinition =>
  toolServerOf({
    description: description ?? undefined,
    resource: resource ?? undefined,
    unlisted: unlisted === 'deny' ? undefined : unlisted,
    tools: Object.entries(tools).map(([name, rule]) => ({ ...rule, name })),
  })

export const sameToolServer = (a: ToolServerDefinition, b: ToolServerDefinition): boolean =>
  JSON.stringify(toolServerOf(a)) === JSON.stringify(toolServerOf(b))

/** One call of one tool, as whoever asks told it. */
export interface ToolCall {
  readonly tool: string | undefined
  /** What the question calls the server. */
  readonly server: string | undefined
  /** On what, and with what: of any type, for they may come from anywhere. Undefined: not told. */
  readonly resource: unknown
  readonly parameters: unknown
}

/** As JSON, in UTF-8. */
export const mostParameterBytes = 16 * 1024

export interface Judgement {
  /** The server is known, and has a rule for the tool. */
  readonly listed: boolean
  /** What the call takes; undefined when it is not listed. */
  readonly capability: string | undefined
  /** Resource and parameters are what the rule says; undefined: there was nothing to compare. */
  readonly fits: boolean | undefined
}

const unlisted: Judgement = { listed: false, capability: undefined, fits: undefined }

/**
 * What the rules of a server say of a call. Nothing is granted here: a listed call still takes its capability. Names are
 * compared byte by byte.
 */
export const judge = (call: ToolCall, server: JudgedToolServer | undefined): Judgement => {
  const { parameters, resource, tool } = call
  if (server === undefined || tool === undefined || tool === '') return unlisted
  const rule = server.tools.find(({ name }) => name === tool)
  const capability = rule === undefined ? server.unlisted : rule.capability
  if (capability === undefined) return unlisted
  const small = isSmallObject(parameters, mostParameterBytes) ? parameters : undefined
  const compared: boolean[] = parameters === undefined ? [] : [small !== undefined]
  if (rule?.resource !== undefined) {
    compared.push(resource === undefined ? rule.resource.optional === true : fits(rule.resource, resource))
  }
  if (rule?.parameters !== undefined) {
    compared.push(small !== undefined && allFit(small, rule.parameters, rule.otherParameters))
  }
  return { listed: true, capability, fits: compared.length === 0 ? undefined : !compared.includes(false) }
}

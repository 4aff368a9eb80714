import type { Socket } from 'node:net'
import { isDeepStrictEqual } from 'node:util'
import type { FastifyReply, FastifyRequest, onRequestHookHandler } from 'fastify'
import { BridgeError } from '../core/errors.ts'
import { holds, type Role } from '../core/roles.ts'
import type { Did, Labels } from '../core/types.ts'
import type { Caller } from '../engine/agentapi.ts'
import type { Accounts, Standing, Standings } from '../engine/callers.ts'
import { digestOf } from '../lib/digest.ts'
import { type Soon, soon } from '../lib/soon.ts'
import { basicCredentials, type Credentials, tokenForm } from './basic.ts'
import type { Certificate } from './certificates.ts'
import type { Limits, OwnRates } from './limits.ts'
import type { Visitors } from './oidc.ts'
import { failure } from './problem.ts'

/** One who may call, as configured. Looked up anew for every request, so that a reload takes effect at once. */
export interface Client {
  readonly name: string
  readonly roles: readonly Role[]
  /** SHA-256 of each accepted bearer token, hexadecimal. */
  readonly tokenSha256: readonly string[]
  /** SHA-256 of each accepted certificate, hexadecimal, whoever issued it. */
  readonly certificateSha256?: readonly string[]
  /** Each accepted identity that an authority of ours wrote into a certificate. */
  readonly ids?: readonly string[]
  /** `<adapter>/<id>` of each account whose directory may vouch for it. */
  readonly accounts?: readonly string[]
  /** All of these again, to be looked up: it is the agents whose they are, in whatever way it proves itself. */
  readonly own?: readonly Accounts[]
  /** Left out: what every client has. */
  readonly rates?: OwnRates | undefined
  /** Bounds a runtime to agents that carry all of them. */
  readonly labels: Labels | undefined
  /** The agents that it is: found for each request, never configured. */
  readonly dids?: readonly Did[]
}

/** How callers are known. */
export interface Door {
  /** Asked for every request, so that a reload takes effect. */
  readonly clients: () => readonly Client[]
  /** What a connection showed; left out where nobody is asked for a certificate. */
  readonly certificate?: ((socket: Socket) => Certificate | undefined) | undefined
  /** Which callers are agents; left out, none is. */
  readonly standings?: Standings | undefined
  /** Left out: no directory vouches for anybody. */
  readonly visitors?: Visitors | undefined
  /** Left out: nobody is limited. */
  readonly limits?: Limits | undefined
}

/** `public`: no token asked. Otherwise one of the roles is needed. */
export type Access = 'public' | readonly [Role, ...Role[]]

declare module 'fastify' {
  interface FastifyRequest {
    client: Client | null
  }
}

const has = (client: Client, role: Role): boolean => holds(client.roles, role)

const bearer = new RegExp(`^Bearer +(${tokenForm}) *$`, 'i')

const bearerCredentials = (header: string | undefined): Credentials | undefined => {
  const token = header === undefined ? undefined : bearer.exec(header)?.[1]
  return token === undefined ? undefined : { name: undefined, token }
}

const decoded = new WeakMap<Client, readonly string[]>()

const digestsOf = (client: Client): readonly string[] => {
  const known = decoded.get(client)
  if (known !== undefined) return known
  const made = client.tokenSha256.map((hex) => Buffer.from(hex, 'hex').toString('latin1'))
  decoded.set(client, made)
  return made
}

/**
 * The client whose token the request carries. Digests are compared: how long that takes tells of them alone, and nobody
 * can find a token by its digest, nor make one whose digest begins as wanted.
 */
const byToken = (given: Credentials, clients: readonly Client[]): Client | undefined => {
  const presented = digestOf(given.token)
  const found = clients.find((client) => digestsOf(client).includes(presented))
  // The token alone says who is calling: under another's name it is a mistake or an attack.
  return given.name === undefined || given.name === found?.name ? found : undefined
}

/** A certificate that two clients could mean is nobody's. */
const byCertificate = ({ fingerprint, id }: Certificate, clients: readonly Client[]): Client | undefined => {
  const [only, ...more] = clients.filter(
    ({ certificateSha256, ids }) =>
      certificateSha256?.includes(fingerprint) === true || (id !== undefined && ids?.includes(id) === true),
  )
  return more.length === 0 ? only : undefined
}

const nobody = (message: string, hint: string): BridgeError => new BridgeError('E_UNAUTHENTICATED', message, { hint })

const noToken = (): BridgeError =>
  nobody(
    'The request carries no bearer token of a configured client.',
    'Send Authorization: Bearer <token>; the configuration holds its SHA-256 under auth.clients, or its issuer under auth.oidc.',
  )

const notTheirs = (shown: Certificate): BridgeError =>
  nobody(
    'The certificate of the connection is of no configured client.',
    shown.fault === undefined
      ? 'Name its identity or its fingerprint under auth.clients, of one client only.'
      : `No authority of server.tls.clientCa vouches for it (${shown.fault}), and its fingerprint is nobody's.`,
  )

const others = (client: Client): BridgeError =>
  nobody(
    `The token is of ${client.name}, and the certificate of the connection of another client.`,
    'Send one of them, or both of the same client.',
  )

const withoutOperator = new WeakMap<Client, Client>()

/** An agent is never an operator (DESIGN §7). */
const asAgent = (client: Client): Client => {
  if (!client.roles.includes('operator')) return client
  const known = withoutOperator.get(client)
  if (known !== undefined) return known
  const made = { ...client, roles: client.roles.filter((role) => role !== 'operator') }
  withoutOperator.set(client, made)
  return made
}

const standingAs = (client: Client, { dids, held }: Standing): Client => {
  if (!held && dids.length === 0) return client
  if (!held) return { ...asAgent(client), dids: [...(client.dids ?? []), ...dids] }
  throw new BridgeError('E_FORBIDDEN', `The client ${client.name} is an agent that is held: it has no role.`, {
    hint: 'Its holds say why; it has its roles again once the last of them is released.',
  })
}

/** @throws BridgeError E_FORBIDDEN, or rejects with it */
const asStanding = (client: Client, accounts: Accounts | undefined, { standings }: Door): Soon<Client> =>
  accounts === undefined || standings === undefined
    ? client
    : soon(standings.of(accounts), (standing) => standingAs(client, standing))

/** By what it showed, and by what the file says that it is. Throws as `asStanding` does. */
const asFound = (client: Client, shown: Certificate | undefined, door: Door): Soon<Client> => {
  let found = asStanding(client, shown, door)
  for (const accounts of client.own ?? []) found = soon(found, (one) => asStanding(one, accounts, door))
  return found
}

const visiting = async (given: Credentials, owner: Client | undefined, door: Door): Promise<Client> => {
  const visitor = await door.visitors?.(given)
  if (visitor === undefined) throw noToken()
  const { client, accounts, isAgent } = visitor
  if (owner !== undefined && owner.name !== client.name) throw others(client)
  return asStanding(isAgent ? asAgent(client) : client, accounts, door)
}

/**
 * Who sent the request. A token decides; a certificate beside it may be nobody's, and not another client's. Whoever shows
 * the certificate of an agent is that agent, whatever token it has.
 * @throws BridgeError E_UNAUTHENTICATED, E_FORBIDDEN, or rejects with them
 */
const identify = (request: FastifyRequest, door: Door): Soon<Client> => {
  const { authorization } = request.headers
  const present = door.clients()
  const shown = door.certificate?.(request.raw.socket)
  const owner = shown && byCertificate(shown, present)
  let client = owner
  if (authorization !== undefined) {
    const { oauth } = request.routeOptions.config
    const given = bearerCredentials(authorization) ?? (oauth === true ? basicCredentials(authorization) : undefined)
    client = given && byToken(given, present)
    if (client === undefined) {
      if (given === undefined || door.visitors === undefined) throw noToken()
      return visiting(given, owner, door).then((found) => asFound(found, shown, door))
    }
    if (owner !== undefined && owner !== client) throw others(client)
  }
  if (client === undefined) throw shown === undefined ? noToken() : notTheirs(shown)
  return asFound(client, shown, door)
}

/** @throws BridgeError E_FORBIDDEN, E_RATE */
const admit = (request: FastifyRequest, reply: FastifyReply, client: Client, { limits }: Door): void => {
  request.client = client
  const { access, lane } = request.routeOptions.config
  const charge = limits?.client(client.name, lane ?? 'questions', client.rates)
  if (charge !== undefined) reply.headers(charge.headers)
  if (charge?.refused !== undefined) throw charge.refused
  // A route without `access` cannot be registered; should one ever be, nobody may call it.
  if (access === undefined || access === 'public' || !access.some((role) => has(client, role))) {
    const needed = access === undefined || access === 'public' ? 'none' : access.join(', ')
    throw new BridgeError('E_FORBIDDEN', `The client ${client.name} has no role that may do this.`, {
      hint: `Give it one of these roles: ${needed}.`,
    })
  }
}

/** A refusal, made ready to be told. Who fails too often is not even told why. */
const refused = (thrown: unknown, request: FastifyRequest, reply: FastifyReply, { limits }: Door): BridgeError => {
  const error = failure(thrown)
  // Whoever was not let in has spent nothing yet: also an agent that is held, and a token that cannot be checked now.
  const limited = request.client !== null ? undefined : caught(() => limits?.stranger(request.ip))
  if (limited !== undefined) return limited
  if (error.code === 'E_UNAUTHENTICATED') {
    const { oauth } = request.routeOptions.config
    reply.header('www-authenticate', oauth === true ? ['Basic realm="idp-bridge"', 'Bearer'] : 'Bearer')
  }
  return error
}

const caught = (take: () => void): BridgeError | undefined => {
  try {
    take()
    return undefined
  } catch (error) {
    return failure(error)
  }
}

/** The hook that authenticates; runs before a body is read. Fails with E_UNAUTHENTICATED, E_FORBIDDEN or E_RATE. */
export const authenticator =
  (door: Door): onRequestHookHandler =>
  (request, reply, done) => {
    const { access, unlimited } = request.routeOptions.config
    if (access === 'public')
      return done(unlimited === true ? undefined : caught(() => door.limits?.stranger(request.ip)))
    const fail = (error: unknown) => done(refused(error, request, reply, door))
    try {
      const client = identify(request, door)
      if (!(client instanceof Promise)) admit(request, reply, client, door)
      else {
        client.then((found) => admit(request, reply, found, door)).then(() => done(), fail)
        return
      }
    } catch (error) {
      return fail(error)
    }
    done()
  }

/**
 * For answers that go on after they began: says, at each call, whether what the request proved itself by still stands for
 * a client of the same name, roles and bounds.
 */
export const entitlement = (request: FastifyRequest, door: Door): (() => Soon<boolean>) => {
  const { name, roles, labels } = clientOf(request)
  const isSame = (client: Client) =>
    isDeepStrictEqual([client.name, client.roles, client.labels], [name, roles, labels])
  return () => {
    try {
      const client = identify(request, door)
      return client instanceof Promise ? client.then(isSame, () => false) : isSame(client)
    } catch {
      return false
    }
  }
}

/** The authenticated client as configured. @throws BridgeError E_BUG on a public route */
export const clientOf = (request: FastifyRequest): Client => {
  if (request.client === null) throw new BridgeError('E_BUG', 'A public route asked who is calling.')
  return request.client
}

/** False on a listener that asks for no token. */
export const hasClient = (request: FastifyRequest): boolean => request.client !== null

/** The authenticated caller, with the roles that `operator` stands for spelled out. */
export const callerOf = (request: FastifyRequest): Caller => {
  const client = clientOf(request)
  const implied: readonly Role[] = client.roles.includes('operator') ? ['registrar', 'responder', 'approver'] : []
  return {
    name: client.name,
    roles: [...new Set<string>([...client.roles, ...implied])],
    labels: client.labels,
    requestId: request.id,
    ...(client.dids && { dids: client.dids }),
  }
}

/** Whether the caller may see what is for operators: the reason, evidence and actor of a hold. */
export const readsAll = (request: FastifyRequest): boolean => has(clientOf(request), 'reader')

export const hasRole = (request: FastifyRequest, role: Role): boolean => has(clientOf(request), role)

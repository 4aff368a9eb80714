import { isDeepStrictEqual } from 'node:util'
import type { FastifyReply, FastifyRequest, onRequestHookHandler } from 'fastify'
import { BridgeError } from '../core/errors.ts'
import type { Labels } from '../core/types.ts'
import type { Caller } from '../engine/agentapi.ts'
import { digestOf } from '../lib/digest.ts'
import { basicCredentials, type Credentials, tokenForm } from './basic.ts'
import { failure } from './problem.ts'

export type Role = 'reader' | 'gateway' | 'runtime' | 'registrar' | 'responder' | 'approver' | 'operator'

/** One who may call, as configured. Looked up anew for every request, so that a reload takes effect at once. */
export interface Client {
  readonly name: string
  readonly roles: readonly Role[]
  /** SHA-256 of each accepted bearer token, hexadecimal. */
  readonly tokenSha256: readonly string[]
  /** Bounds a runtime to agents that carry all of them. */
  readonly labels: Labels | undefined
}

/** `public`: no token asked. Otherwise one of the roles is needed. */
export type Access = 'public' | readonly [Role, ...Role[]]

declare module 'fastify' {
  interface FastifyRequest {
    client: Client | null
  }
}

/** Who has each role: `operator` is registrar, responder and approver too, and all of these read. */
const holders: Readonly<Record<Role, readonly Role[]>> = {
  reader: ['reader', 'registrar', 'responder', 'approver', 'operator'],
  gateway: ['gateway'],
  runtime: ['runtime'],
  registrar: ['registrar', 'operator'],
  responder: ['responder', 'operator'],
  approver: ['approver', 'operator'],
  operator: ['operator'],
}

const has = (client: Client, role: Role): boolean => holders[role].some((holder) => client.roles.includes(holder))

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
const identify = (given: Credentials | undefined, clients: readonly Client[]): Client | undefined => {
  if (given === undefined) return undefined
  const presented = digestOf(given.token)
  const found = clients.find((client) => digestsOf(client).includes(presented))
  // The token alone says who is calling: under another's name it is a mistake or an attack.
  return given.name === undefined || given.name === found?.name ? found : undefined
}

/** @throws BridgeError E_UNAUTHENTICATED, E_FORBIDDEN */
const authenticate = (request: FastifyRequest, reply: FastifyReply, clients: readonly Client[]): void => {
  const { access, oauth } = request.routeOptions.config
  if (access === 'public') return
  const { authorization } = request.headers
  const given = bearerCredentials(authorization) ?? (oauth === true ? basicCredentials(authorization) : undefined)
  const client = identify(given, clients)
  if (client === undefined) {
    reply.header('www-authenticate', oauth === true ? ['Basic realm="idp-bridge"', 'Bearer'] : 'Bearer')
    throw new BridgeError('E_UNAUTHENTICATED', 'The request carries no bearer token of a configured client.', {
      hint: 'Send Authorization: Bearer <token>; the configuration holds its SHA-256 under auth.clients.',
    })
  }
  // A route without `access` cannot be registered; should one ever be, nobody may call it.
  if (access === undefined || !access.some((role) => has(client, role))) {
    throw new BridgeError('E_FORBIDDEN', `The client ${client.name} has no role that may do this.`, {
      hint: `Give it one of these roles: ${access?.join(', ') ?? 'none'}.`,
    })
  }
  request.client = client
}

/** The hook that authenticates; runs before a body is read. Fails with E_UNAUTHENTICATED or E_FORBIDDEN. */
export const authenticator =
  (clients: () => readonly Client[]): onRequestHookHandler =>
  (request, reply, done) => {
    try {
      authenticate(request, reply, clients())
    } catch (error) {
      return done(failure(error))
    }
    done()
  }

/**
 * For answers that go on after they began: says, at each call, whether the request's token still stands for a client of
 * the same name, roles and bounds.
 */
export const entitlement = (request: FastifyRequest, clients: () => readonly Client[]): (() => boolean) => {
  const { name, roles, labels } = clientOf(request)
  let checked = clients()
  return () => {
    const present = clients()
    if (present === checked) return true
    const client = identify(bearerCredentials(request.headers.authorization), present)
    if (!isDeepStrictEqual([client?.name, client?.roles, client?.labels], [name, roles, labels])) return false
    checked = present
    return true
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
  }
}

/** Whether the caller may see what is for operators: the reason, evidence and actor of a hold. */
export const readsAll = (request: FastifyRequest): boolean => has(clientOf(request), 'reader')

export const hasRole = (request: FastifyRequest, role: Role): boolean => has(clientOf(request), role)

import { randomBytes } from 'node:crypto'
import type { Answer } from '../faults.ts'
import { newSession } from './sessions.ts'
import { isoSeconds } from './wire.ts'
import type { World } from './world.ts'

export interface MetadataRequest {
  readonly method: string
  readonly path: string
  readonly header: (name: string) => string | undefined
}

const instanceRoot = '/latest/meta-data/iam/security-credentials/'
const notFound: Answer = { status: 404, headers: { 'Content-Type': 'text/html' }, body: 'Not Found' }

/**
 * Where programs in a container or on an instance find the credentials of their role: one path for each container, and
 * the instance metadata service, which asks for a session token of its own (IMDSv2).
 */
export function serveMetadata(world: World, request: MetadataRequest): Answer | undefined {
  const { path } = request
  if (path.startsWith('/credentials/')) return container(world, request)
  if (path === '/latest/api/token') return instanceToken(world, request)
  return path.startsWith('/latest/') ? instance(world, request) : undefined
}

function container(world: World, { header, method, path }: MetadataRequest): Answer {
  const served = world.served.get(path)
  if (method !== 'GET' || served === undefined) return notFound
  if (served.authorization !== undefined && header('authorization') !== served.authorization) {
    return { status: 401, headers: {}, body: { code: 'Unauthorized', message: 'Invalid authorization token' } }
  }
  return credentials(world, served.roleId, 'container')
}

function instanceToken(world: World, { header, method }: MetadataRequest): Answer {
  const seconds = Number(header('x-aws-ec2-metadata-token-ttl-seconds') ?? Number.NaN)
  if (method !== 'PUT') return { status: 405, headers: {} }
  if (!(seconds >= 1 && seconds <= 21_600)) return { status: 400, headers: {} }
  if (header('x-forwarded-for') !== undefined) return { status: 403, headers: {} }
  const token = randomBytes(40).toString('base64')
  world.instanceTokens.set(token, world.now() + seconds * 1000)
  return { status: 200, headers: { 'Content-Type': 'text/plain' }, body: token }
}

function instance(world: World, { header, method, path }: MetadataRequest): Answer {
  const until = world.instanceTokens.get(header('x-aws-ec2-metadata-token') ?? '')
  if (until === undefined || until < world.now()) return { status: 401, headers: {} }
  const served = world.served.get(instanceRoot)
  const role = world.roles.seen(served?.roleId ?? '')
  if (method !== 'GET' || served === undefined || role === undefined) return notFound
  if (path === instanceRoot || `${path}/` === instanceRoot) {
    return { status: 200, headers: { 'Content-Type': 'text/plain' }, body: role.name }
  }
  return path === `${instanceRoot}${role.name}` ? credentials(world, role.id, 'i-0123456789abcdef0') : notFound
}

function credentials(world: World, roleId: string, session: string): Answer {
  const role = world.roles.seen(roleId)
  if (role === undefined) return notFound
  const { accessKeyId, expiresAt, issuedAt, secret, token } = newSession(world, role, session, { seconds: 6 * 3600 })
  return {
    status: 200,
    headers: {},
    body: {
      Code: 'Success',
      Type: 'AWS-HMAC',
      RoleArn: role.arn,
      AccessKeyId: accessKeyId,
      SecretAccessKey: secret,
      Token: token,
      Expiration: isoSeconds(expiresAt),
      LastUpdated: isoSeconds(issuedAt),
    },
  }
}

/** The path under which the instance serves its role. */
export const instancePath = instanceRoot

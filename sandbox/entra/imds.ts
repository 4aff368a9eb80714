import { issueFor } from './login.ts'
import { LoginRefusal } from './loginerror.ts'
import type { Answer } from './wire.ts'
import type { World } from './world.ts'

/** The instance metadata service's token endpoint: needs `Metadata: true` and refuses anything that was forwarded. */
export function serveImds(
  world: World,
  request: { method: string; search: URLSearchParams; header: (name: string) => string | undefined },
): Answer {
  const { search, header } = request
  if (request.method !== 'GET') return { status: 405, headers: {} }
  if (header('metadata')?.toLowerCase() !== 'true') return refused('Required metadata header not specified')
  if (header('x-forwarded-for') !== undefined) return refused('Requests with X-Forwarded-For are not allowed')
  if (search.get('api-version') !== '2018-02-01') return refused('Invalid or missing api-version')
  const resource = search.get('resource')
  if (resource === null || resource === '') return refused('Required query variable resource is missing')
  const app = world.apps.managedIdentity(search.get('client_id') ?? undefined)
  if (app === undefined) return refused('Identity not found')
  const lifetimeMs = 24 * 3_600_000
  try {
    const token = issueFor(world, app, resource.replace(/\/$/, ''), { clientAuth: '2', lifetimeMs })
    const now = Math.floor(world.now() / 1000)
    return {
      status: 200,
      headers: {},
      body: {
        access_token: token,
        client_id: app.appId,
        expires_in: String(lifetimeMs / 1000 - 1),
        expires_on: String(now + lifetimeMs / 1000),
        ext_expires_in: String(lifetimeMs / 1000 - 1),
        not_before: String(now),
        resource,
        token_type: 'Bearer',
      },
    }
  } catch (error) {
    if (!(error instanceof LoginRefusal)) throw error
    return refused(`AADSTS${error.code}: ${error.message}`, error.error)
  }
}

function refused(description: string, error = 'invalid_request'): Answer {
  return { status: 400, headers: {}, body: { error, error_description: description } }
}

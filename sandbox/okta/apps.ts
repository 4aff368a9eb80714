import { z } from 'zod'
import type { Origin } from './actors.ts'
import { newKey } from './additions.ts'
import { invalid, notFound } from './errors.ts'
import { groupBody } from './groups.ts'
import type { App, AppKey, Switch } from './model.ts'
import { page } from './paging.ts'
import { type Allowed, checkFilter, matches, parseFilter } from './scim.ts'
import type { LogTarget } from './syslog.ts'
import { type Call, iso, type LinkedAnswer, noContent, ok } from './wire.ts'
import type { World } from './world.ts'

export function appTarget({ id, label }: App): LogTarget {
  return { id, type: 'AppInstance', alternateId: label, displayName: 'OpenID Connect Client' }
}

function appBody(world: World, app: App): Record<string, unknown> {
  const self = `${world.origin}/api/v1/apps/${app.id}`
  const turn = app.status === 'ACTIVE' ? 'deactivate' : 'activate'
  const base = {
    id: app.id,
    orn: `orn:okta:idp:${world.orgId}:apps:${app.name}:${app.id}`,
    name: app.name,
    label: app.label,
    status: app.status,
    created: iso(app.created),
    lastUpdated: iso(app.lastUpdated),
    accessibility: { selfService: false },
    visibility: { autoLaunch: false, autoSubmitToolbar: false, hide: { iOS: true, web: true }, appLinks: {} },
    features: [],
    signOnMode: app.signOnMode,
    _links: {
      [turn]: { href: `${self}/lifecycle/${turn}` },
      users: { href: `${self}/users` },
      groups: { href: `${self}/groups` },
    },
  }
  if (app.signOnMode !== 'OPENID_CONNECT') return { ...base, credentials: {}, settings: { app: {} } }
  return {
    ...base,
    credentials: {
      oauthClient: {
        autoKeyRotation: true,
        client_id: app.id,
        token_endpoint_auth_method: app.authMethod,
        pkce_required: false,
      },
    },
    settings: {
      app: {},
      oauthClient: {
        response_types: ['token'],
        grant_types: ['client_credentials'],
        application_type: app.applicationType,
        consent_method: 'TRUSTED',
        issuer_mode: 'DYNAMIC',
        dpop_bound_access_tokens: app.dpopBound,
        jwks: { keys: app.keys.map((key) => key.jwk) },
      },
    },
  }
}

const filterable: Allowed = { status: ['eq'], name: ['eq'], 'credentials.signing.kid': ['eq'] }

/** All kinds of apps, not OAuth clients alone. */
export function listApps(world: World, call: Call): LinkedAnswer {
  const text = call.search.get('filter')
  const q = call.search.get('q')?.toLowerCase()
  const filter = text === null ? undefined : checkFilter(parseFilter(text), filterable)
  const rows = world.apps.list().filter(({ value }) => {
    if (q !== undefined && !value.label.toLowerCase().startsWith(q) && !value.name.startsWith(q)) return false
    return filter === undefined || matches(filter, appBody(world, value))
  })
  const { links, values } = page(world, call, rows, { defaultLimit: 20, maxLimit: 200 })
  return { ...ok(values.map((app) => appBody(world, app))), links }
}

function seenApp(world: World, id: string): App {
  const found = world.apps.seen(id)
  if (found === undefined) throw notFound(id, 'AppInstance')
  return found
}

function writtenApp(world: World, id: string): App {
  const found = world.apps.current(id)
  if (found === undefined) throw notFound(id, 'AppInstance')
  return found
}

export function getApp(world: World, _call: Call, id: string): LinkedAnswer {
  return ok(appBody(world, seenApp(world, id)))
}

/** Asked for what it is already, an app stays as it is and the log shows nothing. */
export function switchApp(world: World, id: string, status: Switch, origin: Origin): LinkedAnswer {
  const app = writtenApp(world, id)
  if (app.status === status) return ok()
  // Deactivation reconciles assignments by groups: they are gone after an activation.
  const groupIds = status === 'INACTIVE' ? [] : app.groupIds
  world.apps.set({ ...app, status, groupIds, lastUpdated: world.now() })
  const event = status === 'ACTIVE' ? 'application.lifecycle.activate' : 'application.lifecycle.deactivate'
  world.log.write({ eventType: event, targets: [appTarget(app)] }, origin)
  return ok()
}

export function listAppGroups(world: World, call: Call, id: string): LinkedAnswer {
  const { groupIds } = seenApp(world, id)
  const rows = world.groups.list().filter(({ value }) => groupIds.includes(value.id))
  const { links, values } = page(world, call, rows, { defaultLimit: 20, maxLimit: 200 })
  const shown = values.map((group, priority) => ({
    id: group.id,
    lastUpdated: iso(group.lastUpdated),
    priority,
    profile: {},
    _links: { app: { href: `${world.origin}/api/v1/apps/${id}` } },
    ...(call.search.get('expand') === 'group' ? { _embedded: { group: groupBody(world, group) } } : {}),
  }))
  return { ...ok(shown), links }
}

/** Refresh tokens of the app, and access tokens that came with one. Others stay good. */
export function revokeAppTokens(world: World, id: string): LinkedAnswer {
  const { id: clientId } = writtenApp(world, id)
  world.issued.revoke((token) => token.clientId === clientId && token.refreshable)
  return noContent
}

function keyBody(world: World, app: App, key: AppKey): Record<string, unknown> {
  const self = `${world.origin}/api/v1/apps/${app.id}/credentials/jwks/${key.id}`
  const turn = key.status === 'ACTIVE' ? 'deactivate' : 'activate'
  return {
    use: 'sig',
    ...key.jwk,
    id: key.id,
    status: key.status,
    created: iso(key.created),
    lastUpdated: iso(key.lastUpdated),
    _links: { [turn]: { href: `${self}/lifecycle/${turn}`, hints: { allow: ['POST'] } } },
  }
}

export function listKeys(world: World, _call: Call, id: string): LinkedAnswer {
  const app = seenApp(world, id)
  return ok(app.keys.map((key) => keyBody(world, app, key)))
}

function keyOf(app: App, keyId: string): AppKey {
  const found = app.keys.find((key) => key.id === keyId)
  if (found === undefined) throw notFound(keyId, 'JsonWebKey')
  return found
}

const newJwk = z.looseObject({
  kty: z.enum(['RSA', 'EC']),
  kid: z.string().min(1),
  n: z.string().exactOptional(),
  use: z.literal('sig').exactOptional(),
  status: z.enum(['ACTIVE', 'INACTIVE']).exactOptional(),
})
const maxKeys = 50

/** A signing key beside those there are, under a `kid` of its own. */
export function addKey(world: World, call: Call, id: string): LinkedAnswer {
  const app = writtenApp(world, id)
  const parsed = newJwk.safeParse(call.body)
  if (!parsed.success) throw invalid('JsonWebKey', 'The key is missing or invalid.')
  const { status = 'ACTIVE', ...jwk } = parsed.data
  const refuse = (cause: string) => invalid('JsonWebKey', cause)
  if (jwk.n !== undefined && Buffer.from(jwk.n, 'base64url').length < 256) {
    throw refuse("RSA key length in the 'jwks' is less than '2,048' bits for the given key.")
  }
  if (app.keys.some((key) => key.jwk.kid === jwk.kid)) throw refuse("All keys in the 'jwks' must have a unique `kid`.")
  if (app.keys.length >= maxKeys) {
    throw refuse(
      "You can't create a new key. You have reached the maximum number of keys allowed (50). To add another key, you must first delete an existing one.",
    )
  }
  const key = { ...newKey(jwk, world.now()), status }
  world.apps.set({ ...app, keys: [...app.keys, key], lastUpdated: world.now() })
  return { ...ok(keyBody(world, app, key)), status: 201 }
}

export function getKey(world: World, _call: Call, id: string, keyId: string): LinkedAnswer {
  const app = seenApp(world, id)
  return ok(keyBody(world, app, keyOf(app, keyId)))
}

/** A client that signs cannot be left without a key. */
export function switchKey(world: World, id: string, keyId: string, status: Switch, origin: Origin): LinkedAnswer {
  const app = writtenApp(world, id)
  const key = keyOf(app, keyId)
  const active = app.keys.filter((each) => each.status === 'ACTIVE')
  if (status === 'INACTIVE' && app.authMethod === 'private_key_jwt' && active.length === 1 && active[0] === key) {
    throw invalid(
      'JsonWebKey',
      "Can't deactivate the only active JSON Web Key when the value for `token_endpoint_auth_method` is `private_key_jwt`.",
    )
  }
  const changed = { ...key, status, lastUpdated: world.now() }
  if (key.status !== status) {
    const keys = app.keys.map((each) => (each === key ? changed : each))
    world.apps.set({ ...app, keys, lastUpdated: world.now() })
    const turn = status === 'ACTIVE' ? 'activate' : 'deactivate'
    world.log.write({ eventType: `app.oauth2.credentials.lifecycle.${turn}`, targets: [appTarget(app)] }, origin)
  }
  return ok(keyBody(world, app, changed))
}

export function deleteKey(world: World, id: string, keyId: string): LinkedAnswer {
  const app = writtenApp(world, id)
  const key = keyOf(app, keyId)
  if (key.status === 'ACTIVE') {
    throw invalid('JsonWebKey', "You can't delete an active JSON Web Key. Deactivate the key before deleting it.")
  }
  world.apps.set({ ...app, keys: app.keys.filter((each) => each !== key), lastUpdated: world.now() })
  return noContent
}

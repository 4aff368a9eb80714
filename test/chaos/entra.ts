import { startEntraTenant } from '../../sandbox/entra/index.ts'
import { playable } from '../../sandbox/entra/playable.ts'
import { bridgeRoles } from '../../sandbox/entra/seed.ts'
import { at } from '../e2e/json.ts'
import { type GroupName, lag, type Opened, type Tenancy, writesOf } from './tenancy.ts'

const hookKey = 'the-key-of-the-chaos-hooks'
const audience = 'api://agents'

const guid = (random: () => number): string => {
  const hex = (length: number) => Array.from({ length }, () => Math.floor(random() * 16).toString(16)).join('')
  return `${hex(8)}-${hex(4)}-4${hex(3)}-8${hex(3)}-${hex(12)}`
}

export interface EntraOptions {
  readonly random: () => number
  readonly seed: number
  /** Agent identities are missing from the delta feed, so that they are listed in every pass. */
  readonly hidesAgents: boolean
  /** Some agents have a user account as well. */
  readonly hasUsers: boolean
}

/** An agent identity for each agent; some with a user account, some an older application. */
export const startEntra = async ({ random, seed, hidesAgents, hasUsers }: EntraOptions): Promise<Tenancy> => {
  const tenant = await startEntraTenant({
    tenantId: guid(random),
    ...lag,
    pageSize: 15,
    logPageSize: 500,
    deltaHidesAgents: hidesAgents,
    eventGridRetryScale: 0.05,
    requestLogSize: 400_000,
    faultSeed: seed,
  })
  const bridge = tenant.registerApp({ appId: guid(random), name: 'bridge', roles: bridgeRoles, secret: 'chaos-only' })
  const blueprint = tenant.addBlueprintPrincipal({ id: guid(random), appId: guid(random), displayName: 'Agents' })
  const nested = tenant.addGroup({ id: guid(random), displayName: 'nested' })
  const groups: Readonly<Record<GroupName, string>> = {
    plain: tenant.addGroup({ id: guid(random), displayName: 'plain' }),
    outer: tenant.addGroup({ id: guid(random), displayName: 'outer', members: [nested] }),
    nested,
  }

  const classic = (number: number): Opened => {
    const appId = guid(random)
    const ownerIds = [bridge.servicePrincipalId]
    const id = tenant.addServicePrincipal({ id: guid(random), appId, displayName: `classic-${number}`, ownerIds })
    return { id, kind: 'servicePrincipal', appId }
  }
  const agent = (number: number): Opened[] => {
    const displayName = `agent-${number}`
    const id = tenant.addAgentIdentity({ id: guid(random), displayName, blueprintAppId: blueprint.appId })
    const identity = { id, kind: 'agentIdentity', appId: id }
    if (number % 7 !== 3 || !hasUsers) return [identity]
    const user = tenant.addAgentUser({ id: guid(random), displayName: `user-${number}`, identityParentId: id })
    return [identity, { id: user, kind: 'agentUser', appId: id }]
  }
  const write = ({ appId, body, method, path }: (typeof tenant.requests)[number]) => {
    if (method !== 'PATCH' || appId !== bridge.appId) return undefined
    const id = /[0-9a-f]{8}-[0-9a-f-]{27}/.exec(path)?.[0]
    const on = at(body, 'accountEnabled')
    return id === undefined || typeof on !== 'boolean' ? undefined : { id, on }
  }

  return {
    stage: playable(tenant),
    groups,
    config: {
      kind: 'entra',
      tenantId: tenant.tenantId,
      endpoints: { graph: tenant.origin, authority: tenant.origin },
      credential: { type: 'clientSecret', clientId: bridge.appId, secret: bridge.secret },
      tokens: { audiences: [audience] },
      hooks: { eventGrid: { auth: 'key', key: hookKey } },
    },
    open: (number) => (number % 9 === 8 ? [classic(number)] : agent(number)),
    condition(id) {
      const state = tenant.get(id)
      if (state === undefined) return { live: false, own: false, others: true, above: undefined }
      const { accountEnabled, isDisabled, disabledByMicrosoftStatus: microsoft, identityParentId } = state.properties
      const isBlocked = typeof microsoft === 'string' && microsoft !== 'NotDisabled'
      const isAgent = state.kind === 'agentIdentity'
      const onBlueprint = isAgent ? { on: tenant.get(blueprint.id)?.enabled === true } : undefined
      return {
        live: state.life === 'live',
        own: accountEnabled !== false,
        others: isDisabled !== true && !isBlocked,
        above: typeof identityParentId === 'string' ? { account: identityParentId } : onBlueprint,
      }
    },
    flip: (id, on) => tenant.setEnabled(id, on),
    removal: (id, kind) =>
      kind === 'servicePrincipal'
        ? undefined
        : { does: 'deletes', undoes: 'restores', act: () => tenant.remove(id), undo: () => tenant.restore(id) },
    otherSwitch: (id, kind) =>
      kind !== 'servicePrincipal'
        ? undefined
        : {
            does: 'switches the application off',
            undoes: 'switches the application on',
            act: () => tenant.setIsDisabled(id, true),
            undo: () => tenant.setIsDisabled(id, false),
          },
    common: {
      does: 'switches the blueprint off',
      undoes: 'switches the blueprint on',
      act: () => tenant.setEnabled(blueprint.id, false),
      undo: () => tenant.setEnabled(blueprint.id, true),
    },
    isMember: (group, id) =>
      tenant.isMember(groups[group], id) || (group === 'outer' && tenant.isMember(groups.nested, id)),
    setMember: (group, id, isMember) =>
      isMember ? tenant.addMember(groups[group], id) : tenant.removeMember(groups[group], id),
    token: (id, kind) => (kind === 'agentIdentity' ? tenant.issueToken({ kind: 'agent', id, audience }) : undefined),
    bell: (id) => tenant.publishCustomEvent({ type: 'audit', subject: id, data: { objectId: id } }),
    /** There is no handshake with a daemon that is down, so a hook may be missing for a while: that too happens. */
    async subscribe(url) {
      tenant.unsubscribeEventGrid('chaos')
      await tenant.subscribeEventGrid({
        url,
        schema: 'cloudevents',
        subscriptionName: 'chaos',
        auth: { type: 'key', header: 'X-Bridge-Key', key: hookKey },
      })
    },
    written: writesOf(() => tenant.requests, write),
    settle: () => tenant.settle(),
    clearFaults: () => tenant.clearFaults(),
    close: () => tenant.close(),
  }
}

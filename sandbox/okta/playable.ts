import type { Disturbance, Playable } from '../schedule.ts'
import type { OktaOrg } from './org.ts'

const offMs = 600_000

/** What a fault schedule needs to know of an Okta org. */
export function playable(org: OktaOrg): Playable {
  const outage = async (begin: () => void, end: () => void) => {
    begin()
    return async () => end()
  }
  const clock = (ms: number) =>
    outage(
      () => org.setClockOff(ms),
      () => org.setClockOff(0),
    )
  const events = async (how: Parameters<OktaOrg['disturbEvents']>[0]) => {
    const lift = org.disturbEvents(how)
    return async () => lift()
  }
  const begin: Readonly<Record<Disturbance, () => Promise<() => Promise<void>>>> = {
    refused: async () => {
      await org.goAway()
      return () => org.comeBack()
    },
    'token-endpoint-down': () =>
      outage(
        () => org.setTokenEndpointDown(true),
        () => org.setTokenEndpointDown(false),
      ),
    'keys-down': () =>
      outage(
        () => org.setJwksDown(true),
        () => org.setJwksDown(false),
      ),
    'clock-ahead': () => clock(offMs),
    'clock-behind': () => clock(-offMs),
    'hooks-duplicated': () => events('duplicated'),
    'hooks-reordered': () => events('reordered'),
    'hooks-dropped': () => events('dropped'),
  }
  const writes = /^POST \/(api\/v1\/(users|apps)|workload-principals\/api\/v1\/ai-agents)\/[^/]+\/lifecycle\//
  return {
    places: {
      any: /^/,
      lists:
        /^GET \/(api\/v1\/(users|apps|groups|logs)(\?|$)|api\/v1\/groups\/[^/]+\/users|workload-principals\/api\/v1\/ai-agents(\?|$))/,
      reads: /^GET /,
      writes,
      // Every write has a connection of its own.
      carriers: writes,
    },
    disturbances: Object.keys(begin).filter((name): name is Disturbance => Object.hasOwn(begin, name)),
    fail: (match, fault) => org.fail(match, fault),
    disturb: (what) => begin[what](),
  }
}

import type { Disturbance, Playable } from '../schedule.ts'
import type { EntraTenant } from './tenant.ts'

const offMs = 600_000

/** What a fault schedule needs to know of an Entra tenant. */
export function playable(tenant: EntraTenant): Playable {
  const outage = async (begin: () => void, end: () => void) => {
    begin()
    return async () => end()
  }
  const clock = (ms: number) =>
    outage(
      () => tenant.setClockOff(ms),
      () => tenant.setClockOff(0),
    )
  const events = async (how: Parameters<EntraTenant['disturbEvents']>[0]) => {
    const lift = tenant.disturbEvents(how)
    return async () => lift()
  }
  const begin: Readonly<Record<Disturbance, () => Promise<() => Promise<void>>>> = {
    refused: async () => {
      await tenant.goAway()
      return () => tenant.comeBack()
    },
    'token-endpoint-down': () =>
      outage(
        () => tenant.setTokenEndpointDown(true),
        () => tenant.setTokenEndpointDown(false),
      ),
    'keys-down': () =>
      outage(
        () => tenant.setJwksDown(true),
        () => tenant.setJwksDown(false),
      ),
    'clock-ahead': () => clock(offMs),
    'clock-behind': () => clock(-offMs),
    'hooks-duplicated': () => events('duplicated'),
    'hooks-reordered': () => events('reordered'),
    'hooks-dropped': () => events('dropped'),
  }
  return {
    places: {
      any: /^/,
      lists:
        /^GET \/(servicePrincipals|users|groups)(\/microsoft\.graph\.\w+)?(\/delta(\(\))?)?(\?|$)|^GET \/groups\/[^/]+\/(m|transitiveM)embers/,
      reads: /^GET /,
      writes: /^PATCH /,
      carriers: /^POST \/\$batch/,
    },
    disturbances: Object.keys(begin).filter((name): name is Disturbance => Object.hasOwn(begin, name)),
    fail: (match, fault) => tenant.fail(match, fault),
    disturb: (what) => begin[what](),
  }
}

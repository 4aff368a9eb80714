import type { LocalTenant } from './local.ts'
import type { Disturbance, Playable } from './schedule.ts'
import type { EventDisturbance } from './webhook.ts'

const offMs = 600_000

/** A local tenant as the stage of a fault schedule; `places` say where its lists, reads and writes are. */
export function stageOf(
  tenant: Pick<LocalTenant, 'fail' | 'goAway' | 'comeBack' | 'setClockOff' | 'setJwksDown' | 'setTokenEndpointDown'> & {
    disturbEvents(how: EventDisturbance): () => void
  },
  places: Playable['places'],
): Playable {
  const outage = async (begin: () => void, end: () => void) => {
    begin()
    return async () => end()
  }
  const clock = (ms: number) =>
    outage(
      () => tenant.setClockOff(ms),
      () => tenant.setClockOff(0),
    )
  const events = async (how: EventDisturbance) => {
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
    places,
    disturbances: Object.keys(begin).filter((name): name is Disturbance => Object.hasOwn(begin, name)),
    fail: (match, fault) => tenant.fail(match, fault),
    disturb: (what) => begin[what](),
  }
}

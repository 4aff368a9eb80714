import { type Blueprint, blueprintSource, type Definition, sameDefinition } from '../core/blueprints.ts'
import { breathe } from '../lib/breathe.ts'
import { topics } from './bus.ts'
import { bridge, type Change, change } from './change.ts'
import type { Deps } from './deps.ts'
import { fitting } from './fitting.ts'
import { capabilitiesBefore, capabilitiesChanged } from './granting.ts'
import { tendPolicies } from './policies.ts'
import { oneAtATime } from './queued.ts'

/** Definitions of blueprints, and what a changed one means for the agents that carry it. */

const record = (c: Change, type: string, { name, origin, revision, ...rest }: Blueprint): Promise<unknown> => {
  const { capabilities, requireSponsor, maxDelegationDepth, accessPolicy } = rest
  const details = {
    name,
    origin,
    revision,
    capabilities: [...capabilities],
    requireSponsor,
    maxDelegationDepth: maxDelegationDepth ?? null,
    accessPolicy: accessPolicy === undefined ? null : { adapter: accessPolicy.adapter, id: accessPolicy.id },
  }
  const { actor, requestId } = c
  return c.tx.appendAudit({ time: c.now, type, actor, requestId, details })
}

/** Runs a change of one definition; when it changed what is granted, the agents get it in transactions of their own. */
const withRegrant = async (c: Change, name: string, write: () => Promise<void>): Promise<void> => {
  const granted = async () => (await c.tx.blueprint(name))?.capabilities ?? []
  const before = await granted()
  await write()
  const after = await granted()
  if (after.join('\n') === before.join('\n')) return
  if ((await c.tx.carriers(name, '', 1)).length === 0) return
  await c.tx.putRegrant({ name, after: '' })
  c.after(() => c.deps.bus.wake(topics.blueprints))
}

export const define = async (c: Change, next: Blueprint, before: Blueprint | undefined): Promise<void> => {
  await withRegrant(c, next.name, () => c.tx.putBlueprint(next))
  if (before === undefined) await record(c, 'blueprint.defined', next)
  else await record(c, 'blueprint.changed', next)
}

export const undefine = async (c: Change, blueprint: Blueprint): Promise<void> => {
  await withRegrant(c, blueprint.name, () => c.tx.dropBlueprint(blueprint.name, blueprint.origin))
  await record(c, 'blueprint.removed', blueprint)
}

/**
 * The blueprints of the configuration, at the start and after a reload: what differs from the last time is recorded, and
 * nothing is done when nothing does. One that a registrar put under the same name waits until it is gone from there.
 */
export const defineConfigured = async (deps: Deps, configured: ReadonlyMap<string, Definition>): Promise<void> => {
  const shadowed = await change(deps, bridge, async (c) => {
    const present = new Map((await c.tx.blueprintsFrom('config')).map((one) => [one.name, one]))
    for (const [name, definition] of configured) {
      const before = present.get(name)
      if (before !== undefined && sameDefinition(before, definition)) continue
      const { createdAt = c.now, revision = 0 } = before ?? {}
      const next = {
        ...definition,
        name,
        origin: 'config',
        createdAt,
        updatedAt: c.now,
        revision: revision + 1,
      } as const
      await define(c, next, before)
    }
    for (const one of present.values()) if (!configured.has(one.name)) await undefine(c, one)
    return (await c.tx.blueprintsFrom('api')).map(({ name }) => name).filter((name) => configured.has(name))
  })
  for (const name of shadowed) {
    deps.alert('blueprint-shadowed', `the blueprint ${name} is in the configuration too, and that one is in force`)
  }
  deps.bus.wake(topics.policies)
}

/** Agents of one transaction at most: whoever writes meanwhile gets a turn after it. */
const atOnce = 100

const regrantSome = (deps: Deps, name: string): Promise<boolean> =>
  change(deps, bridge, async (c) => {
    const left = (await c.tx.regrants()).find((one) => one.name === name)
    if (left === undefined) return false
    const dids = await c.tx.carriers(name, left.after, atOnce)
    const capabilities = (await c.tx.blueprint(name))?.capabilities ?? []
    const source = blueprintSource(name)
    const all = new Set(await c.tx.misgranted(dids, source, capabilities))
    const some = await fitting(
      c,
      dids.filter((did) => all.has(did)).map((did) => ({ did })),
    )
    const wrong = some.map(({ did }) => did)
    const before = await capabilitiesBefore(c, wrong)
    await c.tx.grantFrom(source, wrong, capabilities, c.now)
    await capabilitiesChanged(c, before, source)
    const isCut = wrong.length < all.size
    const last = isCut ? wrong.at(-1) : dids.at(-1)
    const more = last !== undefined && (isCut || dids.length === atOnce)
    if (more) await c.tx.putRegrant({ name, after: last })
    else await c.tx.dropRegrant(name)
    return more
  })

const regrantRest = async (deps: Deps): Promise<void> => {
  for (let left = await deps.store.regrants(); left.length > 0; left = await deps.store.regrants()) {
    for (const { name } of left) {
      while (await regrantSome(deps, name)) {
        deps.probe?.('blueprint.regranted')
        // Asked for at once, the next would share its commit with a kill that waits, and keep it waiting.
        await breathe()
      }
    }
  }
}

/**
 * Brings the agents of changed blueprints in line, some of them a transaction. Whatever ends the process in between, it
 * goes on where it was; a definition that changes meanwhile begins anew.
 */
export const regrantAll = oneAtATime(regrantRest)

const retryMs = 10_000

/** Regrants whenever a definition changed, after a start, and again after a failure; checks the policies they name. */
export const tendBlueprints = async (deps: Deps, signal: AbortSignal): Promise<void> => {
  await Promise.all([tendRegrants(deps, signal), tendPolicies(deps, signal)])
}

const tendRegrants = async (deps: Deps, signal: AbortSignal): Promise<void> => {
  while (!signal.aborted) {
    const woken = deps.bus.count(topics.blueprints)
    await regrantAll(deps).catch((err) => {
      if (!signal.aborted) deps.log.warn({ err }, 'agents of a blueprint do not have its capabilities yet; tried again')
    })
    await deps.bus.wait(topics.blueprints, woken, retryMs, signal)
  }
}

import { EventGridDeserializer } from '@azure/eventgrid'
import { z } from 'zod'
import type { Hint } from '../../src/core/adapter.ts'
import { objectId } from './wire.ts'

/** One event of either schema, reduced to what is used. */
export interface GridEvent {
  readonly id: string
  readonly type: string
  /** CloudEvents `source`, Event Grid `topic`. */
  readonly source: string
  readonly data: unknown
}

const cloudEvent = z.object({ specversion: z.string() })
const deserializer = new EventGridDeserializer()

/**
 * One element of a delivery; undefined when it is no event. Elements are read one by one: the library rejects a whole
 * batch for a single bad one, and an element without `topic`, which nothing here needs.
 */
export async function readEvent(element: unknown): Promise<GridEvent | undefined> {
  if (typeof element !== 'object' || element === null) return undefined
  try {
    if (cloudEvent.safeParse(element).success) {
      const [event] = await deserializer.deserializeCloudEvents({ ...element })
      return event && { id: event.id, type: event.type, source: event.source, data: event.data }
    }
    const filled = { topic: 'unknown', dataVersion: '', metadataVersion: '1', ...element }
    const [event] = await deserializer.deserializeEventGridEvents(filled)
    return event && { id: event.id, type: event.eventType, source: event.topic ?? 'unknown', data: event.data }
  } catch {
    return undefined
  }
}

const anyId = objectId.optional().catch(undefined)
const targets = z
  .array(z.object({ id: anyId }).catch({ id: undefined }))
  .max(1000)
  .optional()
  .catch(undefined)
const notification = z.object({
  tenantId: objectId,
  subscriptionId: objectId.optional().catch(undefined),
  resourceData: z.object({ id: objectId, organizationId: objectId.optional().catch(undefined) }),
})
const custom = z.object({
  tenantId: anyId,
  objectId: anyId,
  id: anyId,
  targetResources: targets,
  properties: z.object({ tenantId: anyId, targetResources: targets }).optional().catch(undefined),
})

export interface Reading {
  readonly hints: readonly Hint[]
  /** Why nothing was taken from it. */
  readonly skipped?: string
}

/**
 * Whom an event asks to re-read. Graph change notifications name one user or group; any other event counts for the object
 * ids it carries, such as an audit record forwarded by a Logic App. Nothing else of the body is believed.
 */
export function hintsOf(event: GridEvent, tenantId: string, allowed: (id: string | undefined) => boolean): Reading {
  const key = (target: string) => `${event.source}|${event.id}|${target}`
  const match = /^Microsoft\.Graph\.(User|Group)(Updated|Deleted|Created)$/.exec(event.type)
  if (match) {
    const parsed = notification.safeParse(event.data)
    if (!parsed.success) return { hints: [], skipped: 'a notification without its object id' }
    const { id, organizationId } = parsed.data.resourceData
    if (parsed.data.tenantId !== tenantId || (organizationId ?? tenantId) !== tenantId)
      return { hints: [], skipped: 'a notification of another tenant' }
    if (!allowed(parsed.data.subscriptionId)) return { hints: [], skipped: 'a subscription that is not configured' }
    const target = match[1] === 'User' ? { principal: id } : { group: id }
    return { hints: [{ delivery: key(id), ...target }] }
  }
  const parsed = custom.safeParse(event.data)
  if (!parsed.success) return { hints: [], skipped: 'an event without an object id' }
  const { data } = parsed
  const tenant = data.tenantId ?? data.properties?.tenantId
  if (tenant !== undefined && tenant !== tenantId) return { hints: [], skipped: 'an event of another tenant' }
  const named = [
    data.objectId,
    data.id,
    ...[data.targetResources, data.properties?.targetResources].flat().map((t) => t?.id),
  ]
  const ids = [...new Set(named.filter((id) => id !== undefined))]
  if (ids.length === 0) return { hints: [], skipped: 'an event without an object id' }
  return { hints: ids.map((principal) => ({ delivery: key(principal), principal })) }
}

import { randomUUID } from 'node:crypto'
import type { SubscribeEventGrid } from './eventgrid.ts'

/** What events look like on the wire, in either schema. */

export interface GridEvent {
  readonly id: string
  readonly type: string
  readonly subject: string
  readonly time: string
  readonly source: string
  readonly dataVersion: string
  readonly data: (subscription: SubscribeEventGrid) => unknown
}

export interface Message {
  readonly contentType: string
  readonly metadataVersion: string
  readonly dataVersion?: string
  readonly body: string
}

const eventGridMessage = { contentType: 'application/json; charset=utf-8', metadataVersion: '1' }

/** EventGridSchema always comes as an array, a single CloudEvent as an object. */
export function message(subscription: SubscribeEventGrid, event: GridEvent): Message {
  const { id, type, subject, time, source, dataVersion } = event
  const data = event.data(subscription)
  if (subscription.schema === 'cloudevents') {
    const body = { id, source, specversion: '1.0', type, subject, time, datacontenttype: 'application/json', data }
    return {
      contentType: 'application/cloudevents+json; charset=utf-8',
      metadataVersion: '1.0',
      body: JSON.stringify(body),
    }
  }
  const body = { id, topic: source, subject, eventType: type, eventTime: time, data, dataVersion, metadataVersion: '1' }
  return { ...eventGridMessage, dataVersion, body: JSON.stringify([body]) }
}

export function topic(name: string): string {
  const group = '/subscriptions/5b4b650e-28b9-4790-b3ab-ddbd88d727c4/resourceGroups/agents'
  return `${group}/providers/Microsoft.EventGrid/${name}`
}

/** Event times carry seven fractional digits. */
export function ticks(at: number): string {
  return new Date(at).toISOString().replace('Z', '0000Z')
}

/** The handshake event of EventGridSchema. */
export function validationMessage(subscriptionName: string, code: string, at: number): Message {
  const event = {
    id: randomUUID(),
    topic: topic('partnerTopics/graph'),
    subject: '',
    data: {
      validationCode: code,
      validationUrl: `https://rp-westeurope.eventgrid.azure.net:553/eventsubscriptions/${subscriptionName}/validate?id=${code}`,
    },
    eventType: 'Microsoft.EventGrid.SubscriptionValidationEvent',
    eventTime: ticks(at),
    metadataVersion: '1',
    dataVersion: '1',
  }
  return { ...eventGridMessage, dataVersion: '1', body: JSON.stringify([event]) }
}

/** A change notification of Graph's partner topic: an id, and nothing of what changed. */
export function directoryEvent(
  tenantId: string,
  noun: 'User' | 'Group',
  id: string,
  change: 'updated' | 'deleted',
  at: number,
  sequence: number,
): GridEvent {
  const time = ticks(at)
  const resource = `${noun}s/${id}`
  const subscriptionId = randomUUID()
  return {
    id: randomUUID(),
    type: `Microsoft.Graph.${noun}${change === 'updated' ? 'Updated' : 'Deleted'}`,
    subject: resource,
    time,
    source: `/tenants/${tenantId}/applications/${applicationId}`,
    dataVersion: '',
    data: ({ clientState = null }) => ({
      changeType: change,
      clientState,
      resource,
      resourceData: {
        '@odata.type': `#Microsoft.Graph.${noun}`,
        '@odata.id': resource,
        id,
        organizationId: tenantId,
        eventTime: time,
        sequenceNumber: String(sequence),
      },
      subscriptionExpirationDateTime: new Date(at + 20 * 24 * 3_600_000).toISOString().replace('Z', '0000+00:00'),
      subscriptionId,
      tenantId,
    }),
  }
}

/** The app that created the Graph subscription. */
const applicationId = '0bf30f3b-4a52-48df-9a82-234910c4a086'

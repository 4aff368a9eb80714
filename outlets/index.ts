import type { OutletBase } from '../src/config/outlet.ts'
import { BridgeError } from '../src/core/errors.ts'
import type { Outlet } from '../src/core/outlet.ts'
import type { OutletDeps } from './deps.ts'
import { type EventGridConfig, eventGridConfig } from './eventgridconfig.ts'
import { openWebhook, type WebhookConfig, webhookConfig } from './webhook.ts'

/** The shape of each kind's configuration, by its key under `signals`. */
export const outletConfigs = { webhooks: webhookConfig, eventGrid: eventGridConfig }

// A parsed configuration is of the shape that its key names, and only one shape has each of these members.
const isWebhook = (config: OutletBase): config is WebhookConfig => 'url' in config
const isEventGrid = (config: OutletBase): config is EventGridConfig => 'endpoint' in config

/**
 * Opens one configured outlet, and connects to nothing. The SDK of a kind is loaded with the first that needs it.
 * `config` is parsed already; an unknown kind is E_CONFIG.
 */
export async function openOutlet(config: OutletBase, deps: OutletDeps): Promise<Outlet> {
  if (isWebhook(config)) return openWebhook(config, deps)
  if (isEventGrid(config)) return (await import('./eventgrid.ts')).openEventGrid(config, deps)
  throw new BridgeError('E_CONFIG', `there is no such kind of outlet: ${config.name}`)
}

import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { configs, loadAdapters } from '../../adapters/index.ts'
import { openOutlet, outletConfigs } from '../../outlets/index.ts'
import { startApp } from '../../src/app.ts'
import type { Io } from '../../src/cli/io.ts'
import { version } from '../../src/cli/version.ts'
import { parseConfig } from '../../src/config.ts'
import { BridgeError, exitOf } from '../../src/core/errors.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { createLogger, type LogLevel } from '../../src/lib/log.ts'
import { createOutbound } from '../../src/lib/outbound.ts'
import { startAws } from '../aws/index.ts'
import { seedContoso as seedAws } from '../aws/seed.ts'
import { startEntraTenant } from '../entra/index.ts'
import { seedContoso as seedEntra } from '../entra/seed.ts'
import { startOktaOrg } from '../okta/index.ts'
import { seedContoso as seedOkta } from '../okta/seed.ts'
import { startControl, startSpire } from '../spire/index.ts'
import { contosoDomain, seedContoso as seedSpire } from '../spire/seed.ts'
import { agentsOf, type Company, settingsOf, type Tokens } from './settings.ts'
import { tour } from './tour.ts'

export interface SandboxOptions {
  readonly port: string
  readonly entraPort: string
  readonly oktaPort: string
  readonly awsPort: string
  readonly spirePort: string
  readonly log: LogLevel
}

const newSecret = (): string => randomBytes(24).toString('base64url')

const portOf = (text: string, option: string): number => {
  const port = Number(text)
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port
  throw new BridgeError('E_USAGE', `${option} is not a port: ${text}`, {
    hint: 'Use a number from 0 (any free one) to 65535.',
  })
}

const inUse = (error: unknown, what: string, port: number, option: string): unknown => {
  const cause = error instanceof BridgeError ? error.cause : error
  if (!(cause instanceof Error) || !('code' in cause) || cause.code !== 'EADDRINUSE') return error
  return new BridgeError('E_USAGE', `Port ${port} is taken, so ${what} cannot start.`, {
    hint: `Choose another with ${option}, or 0 for any.`,
  })
}

/** Hooks of the org that the bridge listens to. */
const oktaEvents = [
  'user.lifecycle.suspend',
  'user.lifecycle.unsuspend',
  'application.lifecycle.activate',
  'application.lifecycle.deactivate',
  'group.user_membership.add',
  'group.user_membership.remove',
]

/** Starts local directories, seeds them, runs the real daemon on them, registers their agents and prints the tour. */
export const sandbox = async (io: Io, options: SandboxOptions): Promise<void> => {
  const port = portOf(options.port, '--port')
  const entraPort = portOf(options.entraPort, '--entra-port')
  const oktaPort = portOf(options.oktaPort, '--okta-port')
  const awsPort = portOf(options.awsPort, '--aws-port')
  const spirePort = portOf(options.spirePort, '--spire-port')
  await using stack = new AsyncDisposableStack()
  const folder = mkdtempSync(join(tmpdir(), 'idp-bridge-sandbox-'))
  stack.defer(() => rmSync(folder, { recursive: true, force: true }))

  const tenant = stack.use(
    await startEntraTenant({ port: entraPort, staleMs: 200 }).catch((error: unknown) => {
      throw inUse(error, 'the local tenant', entraPort, '--entra-port')
    }),
  )
  const org = stack.use(
    await startOktaOrg({ port: oktaPort, staleMs: 200 }).catch((error: unknown) => {
      throw inUse(error, 'the local org', oktaPort, '--okta-port')
    }),
  )
  const cloud = stack.use(
    await startAws({ port: awsPort, staleMs: 200, trailDelayMs: 1000, eventDelayMs: 100 }).catch((error: unknown) => {
      throw inUse(error, 'the local accounts', awsPort, '--aws-port')
    }),
  )
  const spire = stack.use(await startSpire({ trustDomain: contosoDomain }))
  const control = stack.use(
    await startControl(spire, spirePort).catch((error: unknown) => {
      throw inUse(error, 'what changes the local SPIRE', spirePort, '--spire-port')
    }),
  )
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const keyId = 'bridge'
  const company: Company = {
    entra: seedEntra(tenant),
    okta: seedOkta(org, { ...publicKey.export({ format: 'jwk' }), kid: keyId }),
    aws: await seedAws(cloud),
    spire: seedSpire(spire),
  }
  const hookKey = newSecret()
  const tokens: Tokens = { alice: newSecret(), bob: newSecret(), runtime: newSecret(), gateway: newSecret() }
  const key = join(folder, 'ed25519.pem')
  writeFileSync(key, generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }), {
    mode: 0o600,
  })
  const tokenFile = join(folder, 'aws-token')
  writeFileSync(tokenFile, company.aws.bridge.token, { mode: 0o600 })
  const settings = settingsOf({
    folder,
    port,
    entra: tenant,
    okta: { origin: org.origin, key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), keyId },
    aws: { origin: cloud.origin, tokenFile },
    spire,
    company,
    tokens,
    hookKey,
  })
  const config = parseConfig(JSON.stringify(settings), {
    env: {},
    adapterKinds: configs,
    outletKinds: outletConfigs,
    source: 'sandbox',
  })

  const log = createLogger({ level: options.log })
  const onFatal = (error: unknown): void => {
    log.fatal({ err: error }, 'the store can no longer be trusted')
    io.die(exitOf(error))
  }
  const app = await startApp({ config, loadAdapters, openOutlet, version, log, onFatal }).catch((error: unknown) => {
    throw inUse(error, 'the daemon', port, '--port')
  })
  stack.defer(() => app.stop())
  await tenant.subscribeEventGrid({
    url: `${app.origin}/hooks/contoso`,
    schema: 'cloudevents',
    auth: { type: 'key', header: 'X-Bridge-Key', key: hookKey },
  })
  await org.registerHook({ url: `${app.origin}/hooks/contoso-okta`, events: oktaEvents, secret: hookKey })
  await cloud.subscribe(company.aws.topicArn, `${app.origin}/hooks/contoso-aws`)
  await register(app.origin, tokens.alice, company)
  const origins = {
    bridge: app.origin,
    entra: tenant.origin,
    okta: org.origin,
    aws: cloud.origin,
    spire: control.origin,
  }
  io.out(tour(io, { ...origins, company, tokens, store: config.store.url, key }))
  await new Promise<void>((resolve) => {
    if (io.stop.aborted) resolve()
    io.stop.addEventListener('abort', () => resolve(), { once: true })
  })
  io.out('stopping')
}

const register = async (origin: string, token: string, company: Company): Promise<void> => {
  const outbound = createOutbound({ userAgent: `idp-bridge/${version}`, clock: systemClock })
  const fetch = outbound.origin([origin], { timeoutMs: 30_000, maxBytes: 1024 * 1024 })
  try {
    for (const agent of agentsOf(company)) {
      const response = await fetch(`${origin}/v1/agents`, {
        method: 'POST',
        signal: AbortSignal.timeout(30_000),
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify(agent),
      })
      if (!response.ok)
        throw new BridgeError('E_BUG', `The sandbox could not register ${agent.did}: ${await response.text()}`)
    }
  } finally {
    await outbound.close()
  }
}

import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { configs, openAdapter } from '../../adapters/index.ts'
import { startApp } from '../../src/app.ts'
import type { Io } from '../../src/cli/io.ts'
import { version } from '../../src/cli/version.ts'
import { parseConfig } from '../../src/config.ts'
import { BridgeError, exitOf } from '../../src/core/errors.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { createLogger, type LogLevel } from '../../src/lib/log.ts'
import { createOutbound } from '../../src/lib/outbound.ts'
import { startEntraTenant } from '../entra/index.ts'
import { type Contoso, seedContoso } from '../entra/seed.ts'
import { tour } from './tour.ts'

export interface SandboxOptions {
  readonly port: string
  readonly entraPort: string
  readonly log: LogLevel
}

/** The people and programs of the tour; each gets a token of its own at every start. */
const people = { alice: 'operator', bob: 'operator', runtime: 'runtime', gateway: 'gateway' } as const
export type Tokens = Readonly<Record<keyof typeof people, string>>

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

/** Starts a local tenant, seeds it, runs the real daemon on it, registers its agents over the API and prints the tour. */
export const sandbox = async (io: Io, options: SandboxOptions): Promise<void> => {
  const port = portOf(options.port, '--port')
  const entraPort = portOf(options.entraPort, '--entra-port')
  await using stack = new AsyncDisposableStack()
  const folder = mkdtempSync(join(tmpdir(), 'idp-bridge-sandbox-'))
  stack.defer(() => rmSync(folder, { recursive: true, force: true }))

  const tenant = stack.use(
    await startEntraTenant({ port: entraPort, staleMs: 200 }).catch((error: unknown) => {
      throw inUse(error, 'the local tenant', entraPort, '--entra-port')
    }),
  )
  const contoso = seedContoso(tenant)
  const hookKey = randomBytes(24).toString('base64url')
  const tokens = Object.fromEntries(
    Object.keys(people).map((name) => [name, randomBytes(24).toString('base64url')]),
  ) as Tokens
  const key = join(folder, 'ed25519.pem')
  writeFileSync(key, generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }), {
    mode: 0o600,
  })
  const settings = settingsOf(folder, port, tenant, contoso, tokens, hookKey)
  const config = parseConfig(JSON.stringify(settings), { env: {}, adapterKinds: configs, source: 'sandbox' })

  const log = createLogger({ level: options.log })
  const onFatal = (error: unknown): void => {
    log.fatal({ err: error }, 'the store can no longer be trusted')
    io.die(exitOf(error))
  }
  const app = await startApp({ config, open: openAdapter, version, log, onFatal }).catch((error: unknown) => {
    throw inUse(error, 'the daemon', port, '--port')
  })
  stack.defer(() => app.stop())
  await tenant.subscribeEventGrid({
    url: `${app.origin}/hooks/contoso`,
    schema: 'cloudevents',
    auth: { type: 'key', header: 'X-Bridge-Key', key: hookKey },
  })
  await register(app.origin, tokens.alice, contoso)
  io.out(tour(io, { bridge: app.origin, entra: tenant.origin, contoso, tokens, store: config.store.url, key }))
  await new Promise<void>((resolve) => {
    if (io.stop.aborted) resolve()
    io.stop.addEventListener('abort', () => resolve(), { once: true })
  })
  io.out('stopping')
}

type Tenant = Awaited<ReturnType<typeof startEntraTenant>>

const settingsOf = (
  folder: string,
  port: number,
  tenant: Tenant,
  contoso: Contoso,
  tokens: Tokens,
  hookKey: string,
) => ({
  version: 1,
  server: { host: '127.0.0.1', port },
  store: { url: `sqlite:${join(folder, 'bridge.db')}` },
  auth: {
    clients: Object.entries(people).map(([name, role]) => ({
      name,
      role,
      tokenSha256: createHash('sha256')
        .update(tokens[name as keyof Tokens])
        .digest('hex'),
    })),
  },
  policy: { confirmReleaseAfter: '2s' },
  signing: { keys: [{ file: join(folder, 'ed25519.pem') }] },
  adapters: {
    contoso: {
      kind: 'entra',
      tenantId: tenant.tenantId,
      endpoints: { graph: tenant.origin, authority: tenant.origin },
      credential: { type: 'clientSecret', clientId: contoso.bridge.appId, secret: contoso.bridge.secret },
      settle: '2s',
      tokens: { audiences: ['api://agents'] },
      groups: {
        [contoso.groups.customerData]: ['read:customer-data', 'read:reports'],
        [contoso.groups.finance]: ['read:ledger'],
      },
      sync: { accounts: '*/2 * * * * *', groups: '*/5 * * * * *' },
      hooks: { eventGrid: { auth: 'key', key: hookKey } },
    },
  },
})

const register = async (origin: string, token: string, contoso: Contoso): Promise<void> => {
  const outbound = createOutbound({ userAgent: `idp-bridge/${version}`, clock: systemClock })
  const fetch = outbound.origin([origin], { timeoutMs: 30_000, maxBytes: 1024 * 1024 })
  const principal = (id: string, kind: string) => ({ adapter: 'contoso', id, kind, appId: id })
  const { analyst, reporter, reconciler, scout } = contoso.agents
  const agents = [
    {
      did: 'did:agentmesh:data-analyst:a7f3b2c1d4e5f607',
      name: 'data-analyst-agent',
      sponsor: { email: 'alice@contoso.onmicrosoft.com', objectId: contoso.sponsors.alice },
      blueprint: 'Data Analyst Agent',
      capabilities: ['write:notes'],
      principals: [
        principal(analyst, 'agentIdentity'),
        { ...principal(contoso.agentUser, 'agentUser'), appId: analyst },
      ],
    },
    {
      did: 'did:agentmesh:report-writer:0b1c2d3e4f506172',
      name: 'report-writer-agent',
      parentDid: 'did:agentmesh:data-analyst:a7f3b2c1d4e5f607',
      principals: [principal(reporter, 'agentIdentity')],
    },
    {
      did: 'did:agentmesh:payment-reconciler',
      name: 'payment-reconciler-agent',
      principals: [principal(reconciler, 'agentIdentity')],
    },
    {
      did: 'did:mesh:34872769aa0c4d5e8f90123456789abc',
      name: 'market-scout-agent',
      principals: [principal(scout, 'agentIdentity')],
    },
  ]
  try {
    for (const agent of agents) {
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

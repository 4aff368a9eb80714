import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import {
  generateQueueSASQueryParameters,
  QueueClient,
  QueueSASPermissions,
  StorageSharedKeyCredential,
} from '@azure/storage-queue'
import { configs, loadAdapters } from '../../adapters/index.ts'
import { codeOf } from '../../src/core/errors.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { createLogger } from '../../src/lib/log.ts'
import { createOutbound } from '../../src/lib/outbound.ts'
import { signal } from '../adapters/tenant.ts'
import { selfSigned } from '../unit/lib-certificate.ts'
import { type Azurite, installAzurite, startAzurite } from './azurite.ts'

const openAdapter = await loadAdapters(Object.keys(configs))

const tenantId = '11111111-2222-3333-4444-555555555555'
const user = 'aaaaaaaa-1111-4222-8333-444444444444'

const event = (id: string) => ({
  specversion: '1.0',
  id: `event of ${id}`,
  source: `/tenants/${tenantId}/applications/a`,
  type: 'Microsoft.Graph.UserUpdated',
  subject: `Users/${id}`,
  time: '2026-11-21T10:00:00.1234567Z',
  datacontenttype: 'application/json',
  data: { changeType: 'updated', tenantId, resourceData: { id, '@odata.id': `Users/${id}?a=1&b=<2>` } },
})
const asEventGrid = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64')

const rigOf = (url: string, access: Readonly<Record<string, unknown>>, caFile?: string) => {
  const outbound = createOutbound({ userAgent: 'idp-bridge/test', clock: systemClock, caFile })
  const config = configs.entra.parse({
    kind: 'entra',
    tenantId,
    credential: { type: 'clientSecret', clientId: user, secret: 'is-not-used' },
    hooks: { queue: { url, access } },
  })
  const log = createLogger({ level: 'silent' })
  const keys = () => ({ key: () => Promise.reject(new Error('nobody asks for keys')) })
  const adapter = openAdapter('contoso', config, {
    outbound,
    clock: systemClock,
    log,
    random: () => 0.5,
    keys,
    env: {},
  })
  const { queue } = adapter
  assert.ok(queue)
  return {
    queue,
    adapter,
    [Symbol.asyncDispose]: async () => {
      await adapter.close?.()
      await outbound.close()
    },
  }
}

const place = async ({ origin, account, key }: Azurite, name = 'bells') => {
  const url = `${origin}/${account}/${name}`
  const credential = new StorageSharedKeyCredential(account, key)
  const client = new QueueClient(url, credential)
  await client.create()
  const sas = (permissions: string) =>
    generateQueueSASQueryParameters(
      {
        queueName: name,
        permissions: QueueSASPermissions.parse(permissions),
        expiresOn: new Date(Date.now() + 3_600_000),
      },
      credential,
    ).toString()
  return { url, client, sas, left: async () => (await client.getProperties()).approximateMessagesCount }
}

const withKeys = async (folder: string) => {
  await using azurite = await startAzurite(folder)
  const { url, client, sas, left } = await place(azurite)
  const { account, key, origin } = azurite
  const connectionString = `DefaultEndpointsProtocol=https;AccountName=${account};AccountKey=${key};EndpointSuffix=core.windows.net`
  const byKey = { auth: 'connectionString', connectionString }
  for (const access of [byKey, { auth: 'sas', sas: sas('rp') }, { auth: 'sas', sas: `?${sas('rp')}` }]) {
    await using rig = rigOf(url, access)
    await client.sendMessage(asEventGrid(event(user)))
    await client.sendMessage(JSON.stringify(event(user)))
    await client.sendMessage('<not an event & never one>')
    const messages = await rig.queue.take(signal())
    const told = messages.map(({ news }) => news?.hints.map(({ principal }) => principal))
    assert.deepEqual(told, [[user], [user], undefined])
    assert.deepEqual(
      messages.map(({ times }) => times),
      [1, 1, 1],
    )
    assert.deepEqual(await rig.queue.take(signal()), [], 'they are hidden meanwhile')
    assert.equal(await left(), 3)
    for (const message of messages) await message.remove(signal())
    assert.equal(await left(), 0)
    for (const message of messages) await message.remove(signal())
  }

  await using whole = rigOf(url, byKey)
  for (let n = 0; n < 40; n++) await client.sendMessage(asEventGrid(event(user)))
  const batches = [await whole.queue.take(signal()), await whole.queue.take(signal())]
  assert.deepEqual(
    batches.map(({ length }) => length),
    [32, 8],
  )

  const refusals = [
    [url, { auth: 'sas', sas: sas('r') }, ['E_DIRECTORY_FORBIDDEN', 'E_DIRECTORY_AUTH']],
    [
      url,
      { auth: 'sas', sas: sas('rp').replace(/sig=.{10}/, 'sig=AAAAAAAAAA') },
      ['E_DIRECTORY_AUTH', 'E_DIRECTORY_FORBIDDEN'],
    ],
    [
      url,
      { ...byKey, connectionString: `AccountName=${account};AccountKey=${Buffer.from('another').toString('base64')}` },
      ['E_DIRECTORY_AUTH', 'E_DIRECTORY_FORBIDDEN'],
    ],
    [`${origin}/${account}/not-there`, byKey, ['E_DIRECTORY_REFUSED']],
  ] as const
  for (const [where, access, codes] of refusals) {
    await using rig = rigOf(where, access)
    await assert.rejects(rig.queue.take(signal()), (error) => codes.some((code) => code === codeOf(error)), where)
  }
}

const withTokens = async (folder: string) => {
  const files = mkdtempSync(join(tmpdir(), 'idp-azurite-tls-'))
  try {
    const { cert, key } = selfSigned('localhost')
    const [certFile, keyFile, tokenFile] = ['cert.pem', 'key.pem', 'token'].map((name) => join(files, name))
    assert.ok(certFile && keyFile && tokenFile)
    writeFileSync(certFile, cert)
    writeFileSync(keyFile, key)
    await using azurite = await startAzurite(folder, { cert: certFile, key: keyFile })
    const now = Math.floor(Date.now() / 1000)
    const claims = {
      iss: `https://sts.windows.net/${tenantId}/`,
      tid: tenantId,
      nbf: now - 60,
      iat: now,
      exp: now + 3600,
    }
    const token = (aud: string) =>
      [
        { alg: 'RS256', typ: 'JWT' },
        { ...claims, aud },
      ]
        .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
        .concat('AAAA')
        .join('.')
    const access = { auth: 'entra', credential: { type: 'tokenFile', path: tokenFile } }
    const url = `${azurite.origin}/${azurite.account}/bells`
    writeFileSync(tokenFile, token('https://storage.azure.com'))
    await using rig = rigOf(url, access, certFile)
    await assert.rejects(rig.queue.take(signal()), (error) => codeOf(error) === 'E_DIRECTORY_REFUSED', 'no such queue')

    // The library of the test would not know the certificate: the queue is made with a token, too.
    const outbound = createOutbound({ userAgent: 'test', clock: systemClock, caFile: certFile })
    await using _ = { [Symbol.asyncDispose]: () => outbound.close() }
    const fetch = outbound.origin([azurite.origin], { timeoutMs: 30_000, maxBytes: 65_536 })
    const send = async (method: string, path: string, body?: string) => {
      const headers = { authorization: `Bearer ${token('https://storage.azure.com')}`, 'x-ms-version': '2025-11-05' }
      const answer = await fetch(`${url}${path}`, { method, headers, body, signal: signal() })
      assert.equal(answer.status, 201, await answer.text())
    }
    await send('PUT', '')
    const message = `<QueueMessage><MessageText>${asEventGrid(event(user))}</MessageText></QueueMessage>`
    await send('POST', '/messages', message)
    const [taken] = await rig.queue.take(signal())
    assert.equal(taken?.news?.hints[0]?.principal, user)
    await taken?.remove(signal())

    writeFileSync(tokenFile, token('https://graph.microsoft.com'))
    await using other = rigOf(url, access, certFile)
    await assert.rejects(other.queue.take(signal()), (error) => codeOf(error) === 'E_DIRECTORY_AUTH')
  } finally {
    rmSync(files, { recursive: true, force: true })
  }
}

test("the queue of the Entra adapter on Microsoft's own stand-in of Azure Storage", {
  timeout: 900_000,
}, async (t: TestContext) => {
  const folder = await installAzurite()
  if (typeof folder !== 'string') return t.skip(folder.skip)
  await t.test('by the key of an account and by shared access signatures', () => withKeys(folder))
  await t.test('by a token over TLS', () => withTokens(folder))
})

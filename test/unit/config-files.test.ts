import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { parse as parseYaml } from 'yaml'
import { configJsonSchema } from '../../src/config/jsonschema.ts'
import { diffReload, loadConfig, watchConfig } from '../../src/config.ts'
import { manualClock } from '../../src/lib/clock.ts'
import { inForce, policyOf } from '../../src/settings.ts'
import { adapterKinds, entra, minimal, OTHER, outletKinds, parse, TENANT } from './config-fixture.ts'

const file = (name: string) => new URL(`../../config/${name}`, import.meta.url)
const example = file('bridge.example.yaml')

function directory(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'bridge-config-'))
  t.after(() => rmSync(path, { recursive: true }))
  return path
}

describe('config/schema.json', () => {
  const schema = configJsonSchema(adapterKinds, outletKinds)

  it('is what the schema says (else run: node src/config/write-schema.ts)', () => {
    assert.deepEqual(JSON.parse(readFileSync(file('schema.json'), 'utf8')), JSON.parse(JSON.stringify(schema)))
  })

  it('accepts the example and refuses what is wrong', () => {
    const validate = new Ajv2020({ strict: false }).compile(schema)
    const data = parseYaml(readFileSync(example, 'utf8'))
    assert.equal(validate(data), true, JSON.stringify(validate.errors))
    assert.equal(validate({ ...data, server: { port: `\${PORT}` } }), true)
    assert.equal(validate({ ...data, signals: { queues: [] } }), false)
    assert.equal(validate({ ...data, policy: { drift: 'reasert' } }), false)
    assert.equal(validate({ ...data, adapters: { a: { kind: 'nothing' } } }), false)
  })
})

describe('config/bridge.example.yaml', () => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const env = {
    HTTPS_PROXY: 'http://proxy.example:3128',
    OKTA_PRIVATE_KEY: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
  const config = loadConfig(example.pathname, { env, adapterKinds, outletKinds })

  it('is valid', () => {
    assert.deepEqual(Object.keys(config.adapters), ['contoso', 'fabrikam', 'aws', 'trial'])
  })

  it('shows the defaults wherever it does not say otherwise', () => {
    const plain = parse(`${entra('')}policy: { trust: {} }\n`)
    for (const part of ['store', 'log', 'policy', 'capabilities', 'schedule', 'retention', 'signing'] as const) {
      assert.deepEqual(config[part], plain[part], part)
    }
    assert.deepEqual(config.auth.killBudget, plain.auth.killBudget)
    assert.deepEqual({ ...config.server, publicUrl: undefined }, { ...plain.server, publicUrl: undefined })
    const { contoso } = config.adapters
    const defaults = plain.adapters.contoso
    assert.ok(contoso?.kind === 'entra' && defaults?.kind === 'entra')
    const { groups, tokens, hooks } = contoso
    assert.deepEqual(contoso, { ...defaults, groups, tokens, hooks })
    const { fabrikam } = config.adapters
    assert.ok(fabrikam?.kind === 'okta')
    const { kind, orgUrl, credential } = fabrikam
    const { dpop: _, ...barest } = credential.type === 'privateKey' ? credential : assert.fail()
    const bare = adapterKinds.okta.parse({
      kind,
      orgUrl,
      credential: barest,
      tokens: { audiences: ['api://agents-at-fabrikam'] },
    })
    assert.deepEqual(fabrikam, { ...bare, credential, groups: fabrikam.groups })
    assert.deepEqual(bare.credential, credential)

    const { aws } = config.adapters
    assert.ok(aws?.kind === 'aws' && aws.tokens && aws.identityCenter)
    const { accounts, region, suspension } = aws
    const { sessionTail: _tail, ...center } = aws.identityCenter
    const said = adapterKinds.aws.parse({
      kind: aws.kind,
      region,
      credential: { type: 'instance' },
      accounts,
      identityCenter: center,
      suspension: { managedPolicy: suspension.managedPolicy },
      tokens: { audiences: aws.tokens.audiences, outbound: aws.tokens.outbound },
    })
    assert.deepEqual(aws, said)
  })
})

describe('a reload', () => {
  it('changes clients, keys, groups, policy and log level, and says what needs a restart', () => {
    const group = (name: string) => entra(`groups: { ${TENANT}: ["${name}"] }`)
    const before = parse(group('read:x'))
    const after = parse(
      `${group('read:y')}log: { level: debug }\npolicy: { drift: accept }\nserver: { port: 1 }\nstore: { url: "sqlite:/x" }\noutbound: { noProxy: [a] }\n`,
    )
    assert.deepEqual(diffReload(before, after), {
      reloaded: ['log.level', 'policy.drift', `adapters.contoso.groups.${TENANT}`],
      needsRestart: ['server.port', 'store.url', 'outbound.noProxy'],
    })
    assert.deepEqual(diffReload(before, parse(group('read:x'))), { reloaded: [], needsRestart: [] })
  })

  it('puts the policy on trust scores into force, changes it and takes it away', () => {
    const trust = (limits: string) => parse(`${minimal}policy: { trust: ${limits} }\n`)
    const off = parse(minimal)
    assert.equal(off.policy.trust, undefined)
    const on = trust('{}')
    assert.deepEqual(on.policy.trust, { suspendBelow: 300, liftAbove: 500 })
    const both = ['policy.trust.suspendBelow', 'policy.trust.liftAbove']
    assert.deepEqual(diffReload(off, on), { reloaded: both, needsRestart: [] })
    assert.deepEqual(diffReload(on, off), { reloaded: both, needsRestart: [] })
    assert.deepEqual(diffReload(on, trust('{ liftAbove: 600 }')).reloaded, ['policy.trust.liftAbove'])
    assert.deepEqual(policyOf(inForce(off, on)).trust, { suspendBelow: 300, liftAbove: 500 })
    assert.equal(policyOf(inForce(on, off)).trust, undefined)
  })

  it('puts blueprints into force', () => {
    const text = (rest: string) => `${minimal}blueprints: { "Data Analyst v1.2": { ${rest} } }\n`
    const [before, after] = [parse(text('requireSponsor: true')), parse(text('capabilities: ["read:x"]'))]
    assert.deepEqual(diffReload(before, after), {
      reloaded: ['blueprints.Data Analyst v1.2.requireSponsor', 'blueprints.Data Analyst v1.2.capabilities'].sort(),
      needsRestart: [],
    })
    assert.deepEqual(diffReload(before, parse(minimal)).needsRestart, [])
  })

  it('tells clients and secrets apart without showing them', () => {
    const hook = (key: string) => entra(`hooks: { eventGrid: { auth: key, key: "${key}" } }`)
    const diff = diffReload(parse(hook('1'.repeat(16))), parse(hook('2'.repeat(16)).replace('a'.repeat(64), OTHER)))
    assert.deepEqual(diff, { reloaded: ['auth.clients'], needsRestart: ['adapters.contoso.hooks.eventGrid.key'] })
  })

  it('says when an adapter came or went', () => {
    const diff = diffReload(parse(minimal), parse(minimal.replace('adapters: {}', 'adapters: { m: { kind: memory } }')))
    assert.ok(diff.needsRestart.includes('adapters.m.kind'))
    assert.deepEqual(diff.reloaded, [])
  })
})

describe('watching the file', () => {
  async function watched(t: TestContext, path: string) {
    const clock = manualClock()
    const errors: unknown[] = []
    const seen = { changes: 0, fail: false }
    const watch = watchConfig(
      path,
      () => {
        seen.changes++
        if (seen.fail) throw new Error('faulty')
      },
      { clock, onError: (error) => errors.push(error) },
    )
    t.after(() => watch.close())
    return { clock, errors, seen, watch }
  }

  it('sees a write, an editor that renames, and waits for a file that is gone', async (t) => {
    const path = join(directory(t), 'bridge.yaml')
    writeFileSync(path, 'a')
    const { clock, errors, seen } = await watched(t, path)
    await clock.advance(4000)
    assert.equal(seen.changes, 0)
    writeFileSync(path, 'ab')
    await clock.advance(2000)
    assert.equal(seen.changes, 1)
    writeFileSync(`${path}.tmp`, 'cd')
    renameSync(`${path}.tmp`, path)
    seen.fail = true
    await clock.advance(2000)
    assert.equal(seen.changes, 2)
    assert.equal(errors.length, 1)
    seen.fail = false
    unlinkSync(path)
    await clock.advance(4000)
    assert.equal(seen.changes, 2)
    writeFileSync(path, 'efg')
    await clock.advance(2000)
    assert.equal(seen.changes, 3)
  })

  it('sees a symbolic link that is swapped, as Kubernetes does', async (t) => {
    const root = directory(t)
    const at = (name: string) => join(root, name)
    writeFileSync(at('v1'), 'same')
    writeFileSync(at('v2'), 'same')
    symlinkSync('v1', at('data'))
    symlinkSync('data', at('bridge.yaml'))
    const { clock, seen } = await watched(t, at('bridge.yaml'))
    symlinkSync('v2', at('data.tmp'))
    renameSync(at('data.tmp'), at('data'))
    await clock.advance(2000)
    assert.equal(seen.changes, 1)
  })

  it('ends at once when closed', async (t) => {
    const path = join(directory(t), 'bridge.yaml')
    const { clock, errors, watch } = await watched(t, path)
    await watch.close()
    writeFileSync(path, 'a')
    await clock.advance(4000)
    assert.equal(clock.sleeping, 0)
    assert.deepEqual(errors, [])
  })
})

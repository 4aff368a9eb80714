import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { BridgeError } from '../../src/core/errors.ts'
import { createLogger, gathered, REQUEST } from '../../src/lib/log.ts'
import { createMetrics, metricTable } from '../../src/lib/metrics.ts'
import { SecretRef } from '../../src/lib/secret.ts'

function logged(write: (log: ReturnType<typeof createLogger>) => void): Record<string, unknown>[] {
  const lines: string[] = []
  write(createLogger({ level: 'info', destination: { write: (line) => void lines.push(line) } }))
  assert.doesNotMatch(lines.join(''), /hush/, 'a secret was logged')
  return lines.map((line) => JSON.parse(line))
}

describe('the log', () => {
  it('is one JSON object a line, with time, level and message', () => {
    const [line] = logged((log) => log.info({ adapter: 'contoso', n: 1 }, 'read'))
    assert.equal(line?.level, 'info')
    assert.equal(line?.msg, 'read')
    assert.equal(line?.adapter, 'contoso')
    assert.ok(!Number.isNaN(Date.parse(String(line?.time))))
    assert.deepEqual(Object.keys(line ?? {}).sort(), ['adapter', 'level', 'msg', 'n', 'time'])
  })

  it('masks what is named like a secret, at any depth, in children too', () => {
    const [line] = logged((log) =>
      log.child({ token: 'hush' }).info({
        authorization: 'hush',
        headers: new Headers({ cookie: 'hush', accept: 'yes' }),
        deep: { er: [{ clientSecret: 'hush', client_secret: 'hush', accessToken: 'hush', key: 'hush' }] },
        password: { value: 'hush' },
        certificate: SecretRef.of('hush'),
        map: new Map([['set-cookie', 'hush']]),
        tokens: 3,
        bytes: Buffer.from('hush'),
        url: new URL('https://a.example/p?x=hush'),
      }),
    )
    assert.equal(line?.tokens, 3)
    assert.equal(line?.url, 'https://a.example/p')
    assert.deepEqual(line?.headers, { accept: 'yes', cookie: '[redacted]' })
  })

  it('finds secrets in text', () => {
    const jwt = 'eyJhbGciOiJub25lIn0.eyJodXNoIjoxfQ.c2ln'
    const lines = logged((log) => {
      log.info('sent Bearer hush-hush-hush')
      log.info({ url: '/hooks/contoso?key=hush&x=1' }, 'POST /hooks?a=1&key=hush')
      log.info({ note: `got ${jwt}` })
    })
    assert.doesNotMatch(JSON.stringify(lines), /eyJ/)
    assert.equal(lines[1]?.url, '/hooks/contoso?key=[redacted]&x=1')
  })

  it('keeps code, hint and cause of an error', () => {
    const cause = Object.assign(new Error('refused ?key=hush'), { code: 'ECONNREFUSED', config: { headers: 'hush' } })
    const [line] = logged((log) =>
      log.error(new BridgeError('E_OUTBOUND_NETWORK', 'failed', { cause, hint: 'do' }), 'oh'),
    )
    const { stack, cause: inner, ...rest } = Object(line?.err)
    assert.deepEqual(rest, { type: 'BridgeError', code: 'E_OUTBOUND_NETWORK', message: 'failed', hint: 'do' })
    assert.equal(inner.code, 'ECONNREFUSED')
    assert.match(stack, /lib-log/)
  })

  it('survives cycles, depth and size', () => {
    const cycle: Record<string, unknown> = { big: 'x'.repeat(10_000), many: Array(1000).fill(1), n: 1n }
    cycle.self = cycle
    const [line] = logged((log) => log.info({ cycle }))
    assert.ok(JSON.stringify(line).length < 50_000)
  })

  it('leaves a signature of ours whole, in the field that is meant for it only', () => {
    const jws = 'eyJhbGciOiJFZERTQSJ9.eyJzZXEiOjF9.c2lnbmF0dXJl'
    const [line] = logged((log) =>
      log.info({ auditHeadSigned: jws, other: jws, text: `"auditHeadSigned":"${jws}"` }, jws),
    )
    assert.equal(line?.auditHeadSigned, jws)
    assert.equal(line?.other, '[redacted]')
    assert.ok(!`${line?.text} ${line?.msg}`.includes(jws))
  })

  it('writes the requests of one turn together, and anything else at once and in order', async () => {
    const written: string[][] = []
    const messages = (text: string) => [...text.matchAll(/"msg":"(\w+)"/g)].map(([, message]) => message ?? '')
    const log = createLogger({ destination: gathered({ write: (text) => void written.push(messages(text)) }) })
    for (let n = 0; n < 3; n += 1) log.child({ requestId: `r${n}` }).info({ n }, REQUEST)
    assert.deepEqual(written, [])
    log.info('listening')
    assert.deepEqual(written.splice(0), [[REQUEST, REQUEST, REQUEST], ['listening']])
    log.info(REQUEST)
    log.warn({ n: 1 }, REQUEST)
    await new Promise((resolve) => setImmediate(resolve))
    assert.deepEqual(written, [[REQUEST, REQUEST]])
  })

  it('finds what it looks for in any line', () => {
    const texts = ['Bearer abcdefgh', 'basic abcdefgh', 'a eyJabcdef.ghi', '/x?sig=hush', '/x?code=hush', '/x?key=hush']
    for (const text of texts) {
      const [line] = logged((log) => log.info({ text }, 'a'))
      assert.match(String(line?.text), /\[redacted\]/, text)
    }
    const names = ['authorization', 'Cookie', 'x-bridge-key', 'API_KEY', 'idToken', 'secrets', 'passphrase', 'jwt']
    for (const name of names) {
      const [line] = logged((log) => log.child({ [name]: 'hush' }).info('a'))
      assert.equal(line?.[name], '[redacted]', name)
    }
  })

  it('changes its level while running', () => {
    const lines = logged((log) => {
      log.debug('no')
      log.level = 'debug'
      log.debug('yes')
    })
    assert.deepEqual(
      lines.map((line) => line.msg),
      ['yes'],
    )
  })
})

describe('metrics', () => {
  it('has every one of its table from the start of the process', async () => {
    const text = await createMetrics({ processMetrics: true }).text()
    for (const [name, row] of Object.entries(metricTable))
      assert.ok(text.includes(`# HELP idp_bridge_${name} ${row.help}`), name)
    assert.match(text, /process_cpu/)
  })

  it('counts, sets, observes, forgets', async () => {
    const metrics = createMetrics()
    metrics.inc('decisions_total', { face: 'opa', allow: 'true' })
    metrics.inc('audit_entries_total', {}, 3)
    metrics.set('mirror_lane_depth', { adapter: 'a', lane: 'suspend' }, 2)
    metrics.set('guard_tripped', { adapter: 'gone', direction: 'resume' }, 1)
    metrics.drop('guard_tripped', { adapter: 'gone', direction: 'resume' })
    metrics.observe('suspension_propagation_seconds', { from: 'runtime', to: 'a' }, 0.3)
    metrics.outbound('https://a.example', '2xx', 0.2)
    const text = await metrics.text()
    const lines = [
      'idp_bridge_decisions_total{face="opa",allow="true"} 1',
      'idp_bridge_audit_entries_total 3',
      'idp_bridge_mirror_lane_depth{adapter="a",lane="suspend"} 2',
      'idp_bridge_suspension_propagation_seconds_count{from="runtime",to="a"} 1',
      'idp_bridge_outbound_requests_total{origin="https://a.example",outcome="2xx"} 1',
      'idp_bridge_outbound_seconds_sum{origin="https://a.example"} 0.2',
    ]
    for (const line of lines) assert.ok(text.includes(`${line}\n`), line)
    assert.doesNotMatch(text, /gone/)
  })
})

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { chromium } from 'playwright-core'
import { startProcess } from '../e2e/process.ts'
import { chromiumPath, need } from './tools.ts'

const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

test('the API docs of a running daemon are readable in a browser that can reach nothing else', async (t: TestContext) => {
  const path = need('Chromium', chromiumPath, 'chromium')
  if (typeof path !== 'string') return t.skip(path.skip)
  await using daemon = startProcess([
    'sandbox',
    '--port',
    '0',
    '--entra-port',
    '0',
    '--okta-port',
    '0',
    '--aws-port',
    '0',
    '--spire-port',
    '0',
  ])
  const line = await daemon.line('the tour', (text) => text.includes('API docs: '), 60_000)
  const docs = line.slice(line.indexOf('API docs: ') + 'API docs: '.length).trim()
  const browser = await chromium.launch({ executablePath: path, args: flags, timeout: 180_000 })
  try {
    const page = await browser.newPage({ viewport: { width: 1200, height: 1400 } })
    page.setDefaultTimeout(180_000)
    const foreign: string[] = []
    const errors: string[] = []
    page.on('request', (request) => {
      const { origin, protocol } = new URL(request.url())
      if (protocol.startsWith('http') && origin !== new URL(docs).origin) foreign.push(request.url())
    })
    page.on('console', (message) => {
      if (message.type() === 'error') errors.push(message.text())
    })
    page.on('pageerror', (error) => errors.push(error.message))
    const loaded = await page.goto(docs, { waitUntil: 'networkidle' })
    // Scripts are ours or none: what a page may load is told to the browser as well.
    const policy = loaded?.headers()['content-security-policy'] ?? ''
    assert.match(policy, /default-src 'none'; script-src 'self';/)
    await page.getByText('/v1/kill', { exact: true }).first().waitFor()
    assert.ok((await page.locator('.opblock').count()) > 20)
    await page.getByText('/v1/kill', { exact: true }).first().click()
    await page.getByText('Answered once every hold is durable').waitFor()
    if (process.env.SCREENSHOT !== undefined) await page.screenshot({ path: process.env.SCREENSHOT })
    // On a phone nothing is cut off at the side, the opened route included.
    await page.setViewportSize({ width: 390, height: 844 })
    const isWider = () => page.evaluate('document.documentElement.scrollWidth > innerWidth')
    assert.equal(await isWider(), false)
    await page.getByText('/v1/kill', { exact: true }).first().scrollIntoViewIfNeeded()
    assert.ok((await page.getByText('/v1/kill', { exact: true }).first().boundingBox())?.width)
    if (process.env.SCREENSHOT !== undefined) await page.screenshot({ path: `${process.env.SCREENSHOT}.phone.png` })
    assert.deepEqual(foreign, [])
    assert.deepEqual(errors, [])
  } finally {
    await browser.close()
  }
})

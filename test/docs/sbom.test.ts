import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { z } from 'zod'
import { read, root } from '../golden/markdown.ts'

const dependencies = z.record(z.string(), z.string()).prefault({})
const manifest = z
  .object({
    dependencies,
    devDependencies: dependencies,
    files: z.array(z.string()),
    scripts: z.record(z.string(), z.string()),
  })
  .parse(JSON.parse(read('package.json')))
const document = z.object({
  bomFormat: z.literal('CycloneDX'),
  components: z.array(z.object({ name: z.string(), version: z.string(), purl: z.string() })),
})

test('the bill of materials has every runtime dependency at its version, what those need, and no tool of ours', () => {
  const text = execFileSync('npm', ['run', '-s', 'sbom'], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const { components } = document.parse(JSON.parse(text))
  const listed = new Set(components.map(({ purl }) => decodeURIComponent(purl)))
  for (const [name, version] of Object.entries(manifest.dependencies)) {
    assert.ok(listed.has(`pkg:npm/${name}@${version}`), `${name}@${version}`)
  }
  assert.ok(components.length > Object.keys(manifest.dependencies).length)
  const names = new Set(components.map(({ purl }) => decodeURIComponent(purl).replace(/^pkg:npm\/(.+)@.+$/, '$1')))
  for (const tool of ['@biomejs/biome', 'typescript', 'fast-check']) assert.ok(!names.has(tool), tool)
})

test('it is made for each release and packed with it', () => {
  assert.ok(manifest.files.includes('sbom.cdx.json'))
  assert.match(manifest.scripts['prepack'] ?? '', /npm run -s sbom > sbom\.cdx\.json/)
})

import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { test } from 'node:test'
import { z } from 'zod'
import { named, read, root, rows, section } from './markdown.ts'

const manifest = z
  .object({ dependencies: z.record(z.string(), z.string()), scripts: z.record(z.string(), z.string()) })
  .parse(JSON.parse(read('package.json')))

const skipped = /^(node_modules|dist|coverage|\.git)(\/|$)/
const files = globSync('**/*', { cwd: root, exclude: (name) => skipped.test(String(name)) })
  .concat(globSync('.ci/**/*', { cwd: root }))
  .map((file) => file.replaceAll('\\', '/'))
  .filter((file) => !skipped.test(file) && statSync(join(root, file)).isFile())
const pages = ['README.md', ...files.filter((file) => file.startsWith('docs/') && file.endsWith('.md'))]

/** A heading as the anchor that GitHub makes of it. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replaceAll(' ', '-')

const withoutCode = (text: string) => text.replaceAll(/^```[\s\S]*?^```$/gm, '')

test('every relative link of README and docs resolves, its anchor too', () => {
  const broken: string[] = []
  let links = 0
  for (const page of pages) {
    for (const [, target = ''] of withoutCode(read(page)).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue
      links += 1
      const [path = '', anchor] = target.split('#')
      const file = path === '' ? join(root, page) : resolve(root, dirname(page), path)
      if (!existsSync(file)) broken.push(`${page} → ${target}`)
      else if (anchor !== undefined && file.endsWith('.md')) {
        const headings = [...withoutCode(readFileSync(file, 'utf8')).matchAll(/^#+ (.+)$/gm)]
        if (!headings.some(([, heading]) => anchorOf(heading ?? '') === anchor)) broken.push(`${page} → ${target}`)
      }
    }
  }
  assert.ok(links > 30)
  assert.deepEqual(broken, [])
})

test('README lists every page of docs, and docs/decisions/README.md every record', () => {
  const readme = read('README.md')
  const index = read('docs/decisions/README.md')
  for (const page of pages) {
    if (page === 'README.md' || page === 'docs/decisions/README.md') continue
    const record = page.startsWith('docs/decisions/') ? page.slice('docs/decisions/'.length) : undefined
    assert.ok(record === undefined ? readme.includes(`](${page})`) : index.includes(`](${record})`), page)
  }
})

test('the commands of README are scripts of the package', () => {
  const commands = [...section(read('README.md'), 'Try it').matchAll(/^npm ci && npm (\w+)/gm)].map(([, name]) => name)
  assert.deepEqual(commands, ['start', 'test'])
  for (const name of commands) assert.ok(name !== undefined && name in manifest.scripts, name)
})

test('every runtime dependency has its reason in docs/decisions, at the version that is pinned, and nothing else has', () => {
  const table = rows(read('docs/decisions/dependencies.md'))
  const listed = Object.fromEntries(table.map((row) => [named(row), row[1]]))
  assert.deepEqual(listed, manifest.dependencies)
  for (const row of table) assert.ok(row.length === 8 && row.every((cell) => cell !== ''), row[0])
})

test('docs/architecture.md has the arrows that the architecture test holds', () => {
  const code = /const arrows[^{]*(\{[\s\S]*?\n\})/.exec(read('test/unit/architecture.test.ts'))?.[1] ?? ''
  const held = [...code.matchAll(/^ {2}'?([\w/.]+)'?: \[([\s\S]*?)\]/gm)].map(([, place = '', list = '']) => [
    place,
    [...list.matchAll(/'([^']+)'/g)].map(([, target]) => target).sort(),
  ])
  assert.ok(held.length > 8)
  const told = rows(section(read('docs/architecture.md'), 'Layout')).map((row) => [
    named(row),
    [...(row[2] ?? '').matchAll(/`([^`]+)`/g)].map(([, target]) => target).sort(),
  ])
  assert.deepEqual(Object.fromEntries(told), Object.fromEntries(held))
})

test('no file names a path of a machine or the host of a registry', () => {
  // Put together here, so that this file does not name them either.
  const folders = ['work', 'root', 'home', 'Users', 'mnt', 'private'].map((name) => `/${name}/`)
  const hosts = ['registry', 'artifactory', 'nexus', 'verdaccio'].map((name) => `${name}[.\\w-]*[.:][\\w./-]*`)
  const pattern = new RegExp(
    `(?<![\\w.$}*-])(${folders.join('|')})|\\/tmp\\/\\w|https?:\\/\\/[\\w.-]*(${hosts.join('|')})`,
  )
  const found: string[] = []
  for (const file of files) {
    const bytes = readFileSync(join(root, file))
    if (bytes.includes(0)) continue
    const hit = pattern.exec(bytes.toString('utf8'))
    if (hit !== null) found.push(`${file}: ${hit[0]}`)
  }
  assert.ok(files.length > 200)
  assert.deepEqual(found, [])
})

import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { test } from 'node:test'

/** The folder says the rule (docs/architecture.md): what a file of each place may import of ours. */
const arrows: Readonly<Record<string, readonly string[]>> = {
  'src/core': ['src/core'],
  'src/lib': ['src/core', 'src/lib'],
  'src/engine': ['src/core', 'src/lib', 'src/engine'],
  'src/store': ['src/core', 'src/lib', 'src/store'],
  'src/http': ['src/core', 'src/lib', 'src/engine', 'src/http'],
  'src/config': ['src/config', 'src/core', 'src/lib', 'adapters/index.ts', 'outlets/index.ts'],
  'src/config.ts': ['src/config', 'src/core', 'src/lib'],
  'src/telemetry.ts': ['src/lib', 'src/config.ts'],
  'src/settings.ts': ['src/core', 'src/engine', 'src/http', 'src/config.ts'],
  'src/app.ts': [
    'src/settings.ts',
    'src/telemetry.ts',
    'src/core',
    'src/lib',
    'src/engine',
    'src/store',
    'src/http',
    'src/config.ts',
    'adapters/deps.ts',
    'outlets/deps.ts',
  ],
  'src/cli': [
    'src/cli',
    'src/core',
    'src/lib',
    'src/engine',
    'src/store',
    'src/config.ts',
    'src/app.ts',
    'adapters/index.ts',
    'outlets/index.ts',
    'sandbox/cli',
  ],
  'src/main.ts': ['src/cli', 'src/core', 'src/config.ts'],
  adapters: ['src/core', 'src/lib', 'src/config', 'adapters'],
  outlets: ['src/core', 'src/lib', 'src/config', 'outlets', 'adapters/entra'],
  sandbox: ['sandbox'],
  'sandbox/cli': [
    'sandbox',
    'src/cli',
    'src/core',
    'src/lib',
    'src/config.ts',
    'src/app.ts',
    'adapters/index.ts',
    'outlets/index.ts',
  ],
  clients: ['clients', 'src/lib/backoff.ts', 'src/lib/clock.ts'],
  // Decides as the bridge does, and so by its code: what is asked and answered included.
  'clients/verifier': [
    'clients',
    'src/core',
    'src/lib',
    'src/engine',
    'src/http/decisions.ts',
    'src/http/faces.ts',
    'src/http/replicashapes.ts',
    'adapters/identifying.ts',
  ],
}

const root = resolve(import.meta.dirname, '../..')
const sources = globSync('{src,adapters,outlets,sandbox,clients}/**/*.ts', { cwd: root })
const read = (file: string) => readFileSync(join(root, file), 'utf8')
const imports = (file: string) =>
  [...read(file).matchAll(/(?:from |import |import\()'(\.[^']+)'/g)].map((match) =>
    relative(root, resolve(root, dirname(file), match[1] ?? '')),
  )
const isIn = (file: string, place: string) => file === place || file.startsWith(`${place}/`)

const placeOf = (file: string): string | undefined =>
  Object.keys(arrows)
    .filter((place) => isIn(file, place))
    .sort((a, b) => b.length - a.length)[0]

test('every source file has a place in the layout', () => {
  assert.ok(sources.length > 50)
  assert.deepEqual(
    sources.filter((file) => placeOf(file) === undefined),
    [],
  )
})

test('nothing points back: main → app → everything, http → engine → core, store → core, adapters → core, lib', () => {
  const broken: string[] = []
  for (const file of sources) {
    const allowed = arrows[placeOf(file) ?? ''] ?? []
    for (const target of imports(file)) {
      if (!allowed.some((place) => isIn(target, place))) broken.push(`${file} → ${target}`)
    }
  }
  assert.deepEqual(broken, [])
})

/** The explicit lists of all adapters. */
const listing = ['adapters/index.ts', 'adapters/identifying.ts']

test('adapters do not know each other, and what they share knows none of them', () => {
  const folderOf = (file: string) => file.split('/').slice(1, -1)[0]
  const broken = sources
    .filter((file) => file.startsWith('adapters/') && !listing.includes(file))
    .flatMap((file) =>
      imports(file)
        .filter((target) => target.startsWith('adapters/'))
        .filter((target) => folderOf(target) !== undefined && folderOf(target) !== folderOf(file))
        .map((target) => `${file} → ${target}`),
    )
  assert.deepEqual(broken, [])
})

test('a client runs in processes that are not ours: it loads nothing but Node, unless it is the bridge itself that decides', () => {
  const broken = [
    'src/lib/backoff.ts',
    'src/lib/clock.ts',
    ...sources.filter((file) => file.startsWith('clients/') && !file.startsWith('clients/verifier/')),
  ]
    .flatMap((file) =>
      [...read(file).matchAll(/(?:from |import |import\()'([^'.][^']*)'/g)].map(([, name = '']) => name),
    )
    .filter((name) => !name.startsWith('node:'))
  assert.deepEqual(broken, [])
})

test('no source file is longer than 300 lines', () => {
  const long = sources.filter((file) => read(file).trimEnd().split('\n').length > 300)
  assert.deepEqual(long, [])
})

test('the core has no clock, no randomness, no I/O and does not wait', () => {
  const forbidden =
    /Date\.now|new Date\(\)|performance\.|Math\.random|randomUUID|randomBytes|setTimeout|setInterval|\bawait\b|\basync\b|fetch\(|node:(?!crypto)/
  const broken = sources.filter(
    (file) => file.startsWith('src/core/') && forbidden.test(read(file).replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '')),
  )
  assert.deepEqual(broken, [])
})

/** A workload's certificate is a credential for our own API by its standard, whoever runs the trust domain. */
const ofStandard = ['src/lib/svid.ts', 'src/config/clients.ts', 'src/settings.ts']

test('no vendor is named outside its adapter', () => {
  const vendors = /\b(entra|okta|azure|microsoft|graph\.|aws|spiffe|event ?grid)/i
  const code = (file: string) => read(file).replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '')
  const broken = sources.filter((file) => {
    const text = ofStandard.includes(file) ? code(file).replace(/spiffe/gi, '') : code(file)
    return file.startsWith('src/') && vendors.test(text)
  })
  assert.deepEqual(broken, [])
})

test('only main.ts touches the process', () => {
  const broken = sources.filter(
    (file) =>
      file !== 'src/main.ts' &&
      file.startsWith('src/') &&
      /\bprocess\.(?!hrtime|memoryUsage|pid\b)/.test(read(file).replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '')),
  )
  assert.deepEqual(broken, [])
})

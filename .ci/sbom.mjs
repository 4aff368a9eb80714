/**
 * The bill of materials of what runs in production: CycloneDX on standard output. `npm sbom --omit dev` leaves out every
 * package that a development tool needs as well, jose and zod among them, so its whole list is narrowed by the lock file.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

const folder = new URL('..', import.meta.url)
const { packages } = JSON.parse(readFileSync(new URL('package-lock.json', folder), 'utf8'))
const arguments_ = ['sbom', '--sbom-format', 'cyclonedx', '--package-lock-only']
const whole = JSON.parse(
  execFileSync('npm', arguments_, {
    cwd: folder,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
    stdio: ['ignore', 'pipe', 'inherit'],
  }),
)
const production = new Set(
  Object.entries(packages)
    .filter(([path, { dev, devOptional, peer }]) => path !== '' && !dev && !devOptional && !peer)
    .map(
      ([path, { name, version }]) =>
        `${name ?? path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)}@${version}`,
    ),
)
const root = whole.metadata.component['bom-ref']
const components = whole.components.filter((one) => production.has(one['bom-ref']))
const kept = new Set([root, ...components.map((one) => one['bom-ref'])])
const dependencies = whole.dependencies
  .filter(({ ref }) => kept.has(ref))
  .map(({ ref, dependsOn = [] }) => ({ ref, dependsOn: dependsOn.filter((one) => kept.has(one)) }))
const told = { ...whole, components, dependencies }
told.metadata.component.name = JSON.parse(readFileSync(new URL('package.json', folder), 'utf8')).name
process.stdout.write(`${JSON.stringify(told, null, 2)}\n`)

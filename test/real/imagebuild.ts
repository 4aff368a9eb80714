import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { copyFile, cp, mkdir, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import type { Engine } from './engine.ts'
import type { ImageBase } from './imagebase.ts'

const execute = promisify(execFile)
export const root = resolve(import.meta.dirname, '../..')
/** In files that must not come along: whatever holds it is in the image by mistake. */
export const marker = 'this-must-not-be-in-the-image'

const building = ['--isolation', 'chroot', '--pull=never', '--layers=false', '--format', 'docker', '--quiet']

/** Where the stand-in has the cache of npm, which is that of this machine. */
const npmCache = '/var/cache/npm'

/** What the two images are, as far as the Dockerfile sees: a small Debian, and Node and npm on top of it. */
export const importBases = async (engine: Engine, base: ImageBase, folder: string): Promise<void> => {
  await engine.run('import', '--quiet', base.debian, 'base')
  const context = join(folder, 'node')
  await mkdir(join(context, 'npm'), { recursive: true })
  await copyFile(join(root, 'node_modules/node/bin/node'), join(context, 'node'))
  await execute('tar', ['-xzf', base.npm, '-C', join(context, 'npm'), '--strip-components=1'])
  // Where a proxy looks into TLS, npm has to know its authority.
  const authorities = [process.env.NODE_EXTRA_CA_CERTS, '/etc/ssl/certs/ca-certificates.crt']
  const found = authorities.find((path) => path !== undefined && existsSync(path))
  if (found !== undefined) await copyFile(found, join(context, 'authorities.pem'))
  const { stdout: registry } = await execute('npm', ['config', 'get', 'registry'])
  await writeFile(
    join(context, 'npmrc'),
    `cache=${npmCache}\nregistry=${registry.trim()}\n${found === undefined ? '' : 'cafile=/etc/authorities.pem\n'}`,
  )
  await writeFile(
    join(context, 'Dockerfile'),
    `FROM base
COPY node /usr/local/bin/node
COPY npm /usr/local/lib/node_modules/npm
COPY npmrc /usr/local/etc/npmrc
${found === undefined ? '' : 'COPY authorities.pem /etc/authorities.pem'}
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
`,
  )
  await engine.run('build', ...building, '--tag', 'node', context)
}

/** Of this folder, what is under version control or could be beside it on somebody's machine. */
const contextWithSecrets = async (folder: string): Promise<string> => {
  const context = join(folder, 'context')
  const skipped = ['node_modules', '.git', 'dist'].map((name) => join(root, name))
  await cp(root, context, { recursive: true, filter: (path) => !skipped.includes(path) })
  const secrets = [
    '.env',
    '.npmrc',
    'bridge.db',
    'bridge.yaml',
    'src/.env',
    'config/ed25519.pem',
    'clients/agt/secret.json',
  ]
  for (const name of secrets) await writeFile(join(context, name), marker)
  return context
}

/** Builds the Dockerfile on what was imported. Packages come from the cache of npm where they are in it. */
export const buildImage = async (engine: Engine, image: string, folder: string): Promise<void> => {
  const { stdout } = await execute('npm', ['config', 'get', 'cache'])
  const cache = stdout.trim()
  await mkdir(cache, { recursive: true })
  const args = ['--build-arg', 'NODE=node', '--build-arg', 'BASE=base', '--volume', `${cache}:${npmCache}`]
  await engine.run('build', ...building, ...args, '--tag', image, await contextWithSecrets(folder))
}

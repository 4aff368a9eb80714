import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import { cacheFolder } from './cache.ts'

/** Where Debian's package puts it; CHROMIUM names another. */
export const chromiumPath = (): string | undefined =>
  [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(
    (path) => path !== undefined && existsSync(path),
  )

/** One after the other: files of tests run at once, and apt fails where another one is at work. */
const install = (debianPackage: string): void => {
  mkdirSync(cacheFolder(), { recursive: true })
  const commands = 'apt-get update -qq && apt-get install -y -qq -o DPkg::Lock::Timeout=600 "$1"'
  const args = [cacheFolder('apt.lock'), 'sh', '-c', commands, 'sh', debianPackage]
  execFileSync('flock', args, { stdio: ['ignore', 'ignore', 'inherit'] })
}

/**
 * A tool that a test needs. Missing, it is a printed skip on a user's machine and a failure in CI, where it is installed
 * first if it can be.
 */
export const need = (
  name: string,
  find: () => string | undefined,
  debianPackage: string,
): string | { readonly skip: string } => {
  const present = find()
  if (present !== undefined) return present
  if (process.env.CI !== 'true') return { skip: `${name} is not installed (apt-get install ${debianPackage})` }
  install(debianPackage)
  const installed = find()
  if (installed === undefined) throw new Error(`${name} could not be installed`)
  return installed
}

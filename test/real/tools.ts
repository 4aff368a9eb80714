import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'

/** Where Debian's package puts it; CHROMIUM names another. */
export const chromiumPath = (): string | undefined =>
  [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(
    (path) => path !== undefined && existsSync(path),
  )

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
  const apt = (...args: string[]) => execFileSync('apt-get', args, { stdio: ['ignore', 'ignore', 'inherit'] })
  apt('update', '-qq')
  apt('install', '-y', '-qq', debianPackage)
  const installed = find()
  if (installed === undefined) throw new Error(`${name} could not be installed`)
  return installed
}

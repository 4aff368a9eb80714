import { readFileSync } from 'node:fs'

/** The package's version; its file is two folders up from the source and three from the build. */
export const version: string = (() => {
  for (const up of ['../../package.json', '../../../package.json']) {
    try {
      const { name, version: found } = JSON.parse(readFileSync(new URL(up, import.meta.url), 'utf8'))
      if (name === 'agentmesh-idp-bridge') return String(found)
    } catch {
      // Not there: it is the other one.
    }
  }
  return '0.0.0'
})()

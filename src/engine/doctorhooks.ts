import type { Finding } from '../core/adapter.ts'
import { codeOf } from '../core/errors.ts'
import type { DoctorHost } from './doctorapi.ts'

/** Whether deliveries can find the hook of an adapter, as far as that can be told from within. */
export const hookFindings = async (host: DoctorHost, name: string, requestId: string): Promise<Finding[]> => {
  const publicUrl = host.publicUrl()
  if (publicUrl === undefined) {
    const text = `nobody can tell whether deliveries reach /hooks/${name}: where callers reach the bridge is not configured`
    const mend = 'set server.publicUrl to the https address in front of the bridge'
    return [{ code: 'no-public-url', level: 'unknown', text, mend }]
  }
  const { hostname, protocol } = new URL(publicUrl)
  const plain: Finding = {
    code: 'hook-plain',
    level: 'error',
    text: `${publicUrl} is not https: no directory delivers to it`,
    mend: 'put TLS in front of the bridge (server.tls or a proxy) and set server.publicUrl to the https address',
  }
  return [
    ...(protocol === 'https:' ? [] : [plain]),
    await addressFinding(host, hostname),
    await answerFinding(host, name, requestId),
  ]
}

const addressFinding = async (host: DoctorHost, hostname: string): Promise<Finding> => {
  const found = await host.resolve(hostname).catch(() => [])
  if (found.length === 0) {
    const mend = `publish an address of ${hostname} in the DNS, or correct server.publicUrl`
    return { code: 'hook-unresolved', level: 'error', text: `${hostname} has no address`, mend }
  }
  const inside = found.find(({ reach }) => reach !== 'public')
  if (inside === undefined) return { code: 'ok', level: 'ok', text: `resolving ${hostname}` }
  const text = `${hostname} is ${inside.address} here, which nobody outside can reach`
  const mend = 'let the DNS outside answer with a public address, or read changes without hooks (sync.accounts)'
  // Names may have other addresses outside; a loopback address is nobody's anywhere.
  return { code: 'hook-private', level: inside.reach === 'loopback' ? 'error' : 'warning', text, mend }
}

const answerFinding = async (host: DoctorHost, name: string, requestId: string): Promise<Finding> => {
  const path = `/hooks/${name}`
  const mend = `route ${path} of server.publicUrl to server.hooksPort, or server.port where that is not set`
  try {
    if (await host.ask(path, requestId, AbortSignal.timeout(10_000))) {
      const text = `reaching ${path} by server.publicUrl from this host; from outside it may differ`
      return { code: 'ok', level: 'ok', text }
    }
  } catch (error) {
    const code = codeOf(error)
    if (code !== 'E_OUTBOUND_REDIRECT') {
      // Many networks let nobody inside call their own public address.
      const text = `server.publicUrl does not answer this host (${code}): whether it answers others cannot be told from here`
      return { code: 'hook-unreached', level: 'warning', text, mend: `from outside: curl -i <server.publicUrl>${path}` }
    }
  }
  return {
    code: 'hook-elsewhere',
    level: 'error',
    text: `what answers at ${path} of server.publicUrl is no bridge`,
    mend,
  }
}

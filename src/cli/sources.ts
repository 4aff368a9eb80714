import { BridgeError, codeOf } from '../core/errors.ts'
import { systemClock } from '../lib/clock.ts'
import { isLoopback } from '../lib/fields.ts'
import { createOutbound } from '../lib/outbound.ts'
import { contents, usage } from './files.ts'
import type { Io } from './io.ts'
import { version } from './version.ts'

const limits = { timeoutMs: 30_000, maxBytes: 16 * 1024 * 1024 }

const isUrl = (source: string): boolean => /^https?:\/\//i.test(source)

/**
 * The text of a file, or of a URL that the caller named: nothing is fetched from where a token points.
 * @throws BridgeError E_USAGE, E_UNREACHABLE
 */
export const sourceText = async (io: Io, source: string): Promise<string> => {
  if (!isUrl(source)) return contents(source, `The file ${source}`)
  const url = URL.canParse(source) ? new URL(source) : undefined
  const isSafe = url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopback(url.hostname))
  if (url === undefined || !isSafe || url.username !== '' || url.password !== '') {
    throw usage(`${source} is not an address that can be believed.`, 'Write https://…; http:// is for loopback only.')
  }
  const outbound = createOutbound({ userAgent: `idp-bridge/${version}`, clock: systemClock })
  try {
    const response = await outbound.origin([url.origin], limits)(url, { signal: io.stop })
    const text = await response.text()
    if (response.ok) return text
    throw unreachable(url, `It answered ${response.status}.`, undefined)
  } catch (error) {
    throw codeOf(error).startsWith('E_OUTBOUND') ? unreachable(url, 'Nothing usable came back.', error) : error
  } finally {
    await outbound.close()
  }
}

const unreachable = (url: URL, what: string, cause: unknown) =>
  new BridgeError('E_UNREACHABLE', `${url.origin}${url.pathname} cannot be read. ${what}`, {
    cause,
    hint: 'Fetch it by another way and name the file instead.',
  })

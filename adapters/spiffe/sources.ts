import { readFile } from 'node:fs/promises'
import { request } from 'node:https'
import { BridgeError } from '../../src/core/errors.ts'
import type { Clock } from '../../src/lib/clock.ts'
import type { Outbound } from '../../src/lib/outbound.ts'
import { diskFiles } from '../../src/lib/secret.ts'
import { parseId } from '../spiffeid.ts'
import { bundleOf, message, parseBundle } from './bundle.ts'
import type { ReadBundle } from './bundles.ts'
import type { BundleConfig } from './config.ts'
import { malformed, parse, purposes } from './errors.ts'
import type { Server } from './server.ts'
import { expecting, toPem } from './svid.ts'
import { methods } from './wire.ts'

const LIMITS = { timeoutMs: 15_000, maxBytes: 2 * 1024 * 1024 }

export interface SourceParts {
  readonly trustDomain: string
  /** Whether it is the domain of the server itself. */
  readonly isOwn: boolean
  readonly server: Server
  readonly outbound: Outbound
  readonly clock: Pick<Clock, 'now'>
}

/** How the bundle of one trust domain is read. */
export function sourceOf(config: BundleConfig, parts: SourceParts): ReadBundle {
  switch (config.type) {
    case 'server':
      return fromServer(parts)
    case 'file':
      return async (before, signal) => parseBundle(await textOf(config.path, signal), parts.trustDomain, before)
    case 'https_web':
      return fromWeb(config.url, parts)
    case 'https_spiffe':
      return fromSpiffe(config, parts)
  }
}

/** Changes with the file that a bundle is in; undefined where it is in none, or none is there now. */
export function stampOf(config: BundleConfig): (() => string | undefined) | undefined {
  if (config.type !== 'file') return undefined
  return () => {
    try {
      return diskFiles.stamp(config.path)
    } catch {
      return undefined
    }
  }
}

const textOf = (path: string, signal: AbortSignal) => readFile(path, { encoding: 'utf8', signal })

function fromServer({ trustDomain, isOwn, server, clock }: SourceParts): ReadBundle {
  const method = isOwn ? methods.getBundle : methods.getFederatedBundle
  const purpose = isOwn ? purposes.getBundle : purposes.getFederated
  return async (before, signal) => {
    const answer = await server.call(method, isOwn ? {} : { trust_domain: trustDomain }, { purpose, signal })
    const read = parse(message, answer, purpose)
    try {
      return bundleOf(read, trustDomain, clock.now(), before)
    } catch (cause) {
      throw malformed(purpose, cause)
    }
  }
}

/** SPIFFE Federation §5.2.1. */
function fromWeb(url: string, { trustDomain, outbound }: SourceParts): ReadBundle {
  const fetch = outbound.origin([new URL(url).origin], LIMITS)
  return async (before, signal) => {
    const answer = await fetch(url, { headers: { accept: 'application/json' }, signal })
    if (answer.status !== 200)
      throw new BridgeError('E_DIRECTORY_DOWN', `the bundle endpoint answered ${answer.status}`)
    return parseBundle(await answer.text(), trustDomain, before)
  }
}

/**
 * SPIFFE Federation §5.2.2: the endpoint has an X.509-SVID. An endpoint of the very domain that it tells of is known by the
 * bundle told last; any other, and before the first, by the one of the file.
 */
function fromSpiffe(
  { url, endpointId, bootstrap }: Extract<BundleConfig, { type: 'https_spiffe' }>,
  { trustDomain }: SourceParts,
): ReadBundle {
  const domain = parseId(endpointId)?.trust_domain ?? ''
  let authorities: readonly Buffer[] | undefined
  return async (before, signal) => {
    authorities ??= parseBundle(await textOf(bootstrap, signal), domain, new Map()).authorities
    const bundle = parseBundle(await getBySvid(url, endpointId, authorities, signal), trustDomain, before)
    if (domain === trustDomain && bundle.authorities.length > 0) authorities = bundle.authorities
    return bundle
  }
}

/** The outbound client knows servers by name and by the authorities of the web only. */
function getBySvid(url: string, id: string, authorities: readonly Buffer[], signal: AbortSignal): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const failed = (text: string, cause?: unknown) =>
    reject(new BridgeError('E_DIRECTORY_DOWN', `the bundle endpoint ${text}`, { cause }))
  const call = request(url, {
    ca: toPem(authorities),
    checkServerIdentity: expecting(id),
    headers: { accept: 'application/json' },
    agent: false,
    signal: AbortSignal.any([signal, AbortSignal.timeout(LIMITS.timeoutMs)]),
  })
  call.on('error', (error) => failed('did not answer', error))
  call.on('response', (answer) => {
    if (answer.statusCode !== 200) {
      answer.destroy()
      return failed(`answered ${answer.statusCode}`)
    }
    const chunks: Buffer[] = []
    let size = 0
    answer.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size > LIMITS.maxBytes) answer.destroy(new Error('too large'))
      else chunks.push(chunk)
    })
    answer.on('error', (error) => failed('broke off', error))
    answer.on('end', () => resolve(Buffer.concat(chunks).toString()))
  })
  call.end()
  return promise
}

import {
  fromHttp,
  fromInstanceMetadata,
  fromNodeProviderChain,
  fromTemporaryCredentials,
  fromTokenFile,
} from '@aws-sdk/credential-providers'
import { BridgeError, codeOf } from '../../src/core/errors.ts'
import type { AwsConfig } from './config.ts'
import { asBridgeError, awsError, type Purpose } from './errors.ts'
import type { SdkHandler } from './handler.ts'
import { endpointOf } from './partitions.ts'

export interface Identity {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string
  readonly expiration?: Date
}
/** Resolves to what requests are signed with. The SDK keeps it until shortly before it expires. */
export type Provider = () => Promise<Identity>

export interface CredentialParts {
  readonly config: Pick<AwsConfig, 'credential' | 'region' | 'sessionName' | 'endpoints'>
  readonly handler: SdkHandler
}

/** How long a lookup at the platform may take; a container's agent and the metadata service are on this host. */
const PLATFORM = { timeout: 2000, maxRetries: 2 }

/** With an address of its own a client refuses every call where the environment asks for other ones. */
export const asConfigured = { useFipsEndpoint: false, useDualstackEndpoint: false }

/** What sign-ins at STS are made with. */
const stsOf = ({ config, handler }: CredentialParts) => ({
  ...asConfigured,
  region: config.region,
  requestHandler: handler,
  maxAttempts: 1,
  endpoint: config.endpoints.sts ?? endpointOf('sts', config.region),
})

/** The credential that the configuration names, and no other. Opens no connection. */
export function baseCredential(parts: CredentialParts): Provider {
  const { credential, sessionName } = parts.config
  const clientConfig = stsOf(parts)
  switch (credential.type) {
    case 'webIdentity':
      return fromTokenFile({
        webIdentityTokenFile: credential.tokenFile,
        roleArn: credential.roleArn,
        roleSessionName: sessionName,
        clientConfig,
      })
    case 'container': {
      const { uri, tokenFile } = credential
      return fromHttp({
        ...PLATFORM,
        ...(uri && { awsContainerCredentialsFullUri: uri }),
        ...(tokenFile && { awsContainerAuthorizationTokenFile: tokenFile }),
      })
    }
    case 'instance':
      return fromInstanceMetadata({ ...PLATFORM, ec2MetadataV1Disabled: true })
    case 'accessKey':
      return async () => ({
        accessKeyId: credential.accessKeyId,
        secretAccessKey: credential.secretAccessKey.read(),
        ...(credential.sessionToken && { sessionToken: credential.sessionToken.read() }),
        // Never kept: a secret from a file may have been exchanged.
        expiration: new Date(0),
      })
    case 'default':
      return fromNodeProviderChain({
        ...PLATFORM,
        clientConfig,
        ...(credential.profile && { profile: credential.profile }),
      })
  }
}

/** A role of an account, assumed with `master`. */
export function assumedCredential(
  parts: CredentialParts,
  { roleArn, externalId }: NonNullable<AwsConfig['accounts'][string]['assumeRole']>,
  master: Provider,
): Provider {
  // Made anew for each sign-in: the external id may have been exchanged.
  return async () =>
    fromTemporaryCredentials({
      masterCredentials: master,
      params: {
        RoleArn: roleArn,
        RoleSessionName: parts.config.sessionName,
        ...(externalId && { ExternalId: externalId.read() }),
      },
      clientConfig: stsOf(parts),
    })()
}

const MARGIN_MS = 5 * 60_000

export interface Remembered {
  readonly provider: Provider
  /** AWS does not accept what was given out last. */
  forget(): void
}

/**
 * Kept until five minutes before it expires, and to its end while renewing fails; one sign-in at a time. The SDK is told
 * that it expired, so that it asks each time: what it keeps itself could not be forgotten.
 * @throws BridgeError E_DIRECTORY_AUTH, E_DIRECTORY_DOWN, E_DIRECTORY_THROTTLED, E_SECRET
 */
export function remembered(provide: Provider, purpose: Purpose, now: () => number): Remembered {
  let fresh: Identity | undefined
  let inFlight: Promise<Identity> | undefined
  const leftMs = ({ expiration }: Identity) => (expiration?.getTime() ?? Number.POSITIVE_INFINITY) - now()
  const renew = async (): Promise<Identity> => {
    try {
      fresh = await provide()
      return fresh
    } catch (error) {
      if (fresh && leftMs(fresh) > 0) return fresh
      throw signInError(error, purpose, now())
    }
  }
  const identity = async (): Promise<Identity> => {
    if (fresh && leftMs(fresh) > MARGIN_MS) return fresh
    inFlight ??= renew().finally(() => {
      inFlight = undefined
    })
    return inFlight
  }
  return {
    provider: async () => ({ ...(await identity()), expiration: new Date(0) }),
    forget() {
      fresh = undefined
    },
  }
}

/** Not being let in is not the same as not being allowed something. */
function signInError(error: unknown, purpose: Purpose, nowMs: number): BridgeError {
  if (codeOf(error) === 'E_SECRET') return asBridgeError(error)
  const failure = awsError(error, purpose, nowMs)
  const { code, message, details } = failure
  if (code !== 'E_DIRECTORY_FORBIDDEN' && code !== 'E_DIRECTORY_REFUSED' && code !== 'E_BUG') return failure
  return new BridgeError('E_DIRECTORY_AUTH', message, {
    hint: `allow ${purpose.action} to the credential of the bridge, and name it in the trust policy of the role`,
    ...(details === undefined ? {} : { details }),
  })
}

import type { Finding } from '../../src/core/adapter.ts'
import { Findings, MAX_GROUPS } from '../checking.ts'
import type { Self } from './credential.ts'
import { type DoctorParts, examine, groupsOf, needed, probe, readGroups } from './doctor.ts'
import { type Kind, readPurpose } from './kinds.ts'
import { peeking, type StorageQueue } from './queue.ts'
import { watchPurpose } from './subscriptioncalls.ts'

export interface CheckParts extends DoctorParts {
  /** Undefined: none rings. */
  readonly queue?: Pick<StorageQueue, 'check'> | undefined
}

/** Signs in, looks at what the token may do, and reads one of everything that is configured. */
export async function check(parts: CheckParts, signal: AbortSignal): Promise<Finding[]> {
  const { config, graph, credential, queue } = parts
  const { kinds } = config.manage
  const findings = new Findings()
  // It may sign in by itself, or by no identity at all.
  if (queue) await findings.attempt(peeking.what, () => queue.check(signal))
  if (!(await findings.attempt('sign in to the directory', () => credential.token(signal)))) return findings.list
  const self = credential.self()
  findings.list.push(...ofSelf(self))
  const watched = (config.hooks.graph?.resources ?? []).map((resource) => watchPurpose[resource])
  await examine(parts, new Set([...needed(config, kinds), ...watched]), findings, signal)
  // What a token says is one thing; without it these were read already.
  const reads = new Set(self === undefined ? [] : kinds.flatMap(readsOf).map((kind) => readPurpose[kind]))
  for (const purpose of reads) await probe(parts, purpose, findings, signal)
  await readGroups(parts, groupsOf(config).slice(0, MAX_GROUPS), findings, signal)
  findings.clock(graph.skewMs())
  return findings.list
}

/** An agent user is of an agent identity. */
const readsOf = (kind: Kind): readonly Kind[] => (kind === 'agentUser' ? ['agentIdentity', kind] : [kind])

function ofSelf(self: Self | undefined): Finding[] {
  if (!self) {
    const text = 'the access token of the bridge cannot be read, so its permissions are told by reading only'
    return [{ code: 'token-opaque', level: 'warning', text }]
  }
  const findings: Finding[] = []
  if (self.isAgent) {
    const text = 'the bridge runs as an agent identity: Graph refuses agents the permissions it needs'
    findings.push({ code: 'self-agent', level: 'error', text, mend: 'give it an ordinary app registration' })
  }
  if (self.scopes.includes('Directory.AccessAsUser.All')) {
    const text = 'the token carries Directory.AccessAsUser.All, which overrides every agent permission'
    const mend = 'remove that delegated permission and sign in as the application'
    findings.push({ code: 'access-as-user', level: 'error', text, mend })
  }
  return findings
}

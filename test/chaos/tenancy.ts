import type { SeenRequest } from '../../sandbox/requests.ts'
import type { Playable } from '../../sandbox/schedule.ts'

/** How far the directories lag behind their writes, and how far a stale replica does: together less than `settle`. */
export const lag = { staleMs: 300, replicaMs: 1200, auditDelayMs: 1000 }

export const groupNames = ['plain', 'outer', 'nested'] as const
export type GroupName = (typeof groupNames)[number]

/** One account of a directory, before it has a place in a fleet. */
export interface Opened {
  readonly id: string
  readonly kind: string
  readonly appId?: string
}

/** What really is so with an account. */
export interface Condition {
  readonly live: boolean
  /** The switch that the bridge writes. */
  readonly own: boolean
  /** Every other switch of its own. */
  readonly others: boolean
  /** What it hangs on besides: off when that is off. */
  readonly above: { readonly account: string } | { readonly on: boolean } | undefined
}

/** One write of the bridge as the directory received it. */
export interface Written {
  readonly id: string
  readonly on: boolean
  readonly at: number
  readonly status: number | undefined
}

/**
 * Tells what is new in a log of requests since the last call, newest first.
 * @param change what a request of the bridge changes; undefined when it is no write of it
 */
export const writesOf = <R extends Pick<SeenRequest, 'seq' | 'at' | 'status'>>(
  requests: () => readonly R[],
  change: (request: R) => Pick<Written, 'id' | 'on'> | undefined,
): (() => Written[]) => {
  let seen = 0
  return () => {
    const fresh: Written[] = []
    const all = requests()
    for (let index = all.length - 1; index >= 0; index--) {
      const request = all[index]
      if (request === undefined || request.seq <= seen) break
      const written = change(request)
      if (written !== undefined) fresh.push({ ...written, at: request.at, status: request.status })
    }
    seen = all.at(-1)?.seq ?? seen
    return fresh
  }
}

/** What an administrator can do to an account beyond its switch; returns what takes it back. */
export interface Trick {
  readonly does: string
  readonly undoes: string
  readonly act: () => void
  readonly undo: () => void
}

/** One local directory as the run sees it, whatever its vendor. */
export interface Tenancy {
  readonly stage: Playable
  /** Immutable ids of the mapped groups; members of `nested` are members of `outer` too where groups nest. */
  readonly groups: Readonly<Record<GroupName, string>>
  /** The adapter's configuration but for what all adapters have. */
  readonly config: Readonly<Record<string, unknown>>
  /** Accounts of one more agent. */
  open(number: number): readonly Opened[]
  condition(id: string): Condition
  flip(id: string, on: boolean): void
  /** A deletion that can be taken back; undefined when there is none for this kind. */
  removal(id: string, kind: string): Trick | undefined
  /** A switch that only others have; undefined when there is none for this kind. */
  otherSwitch(id: string, kind: string): Trick | undefined
  /** Something that switches many at once; undefined when the directory has nothing of the sort. */
  readonly common?: Trick
  isMember(group: GroupName, id: string): boolean
  setMember(group: GroupName, id: string, isMember: boolean): void
  /** A token of the account itself; undefined when none can be had. */
  token(id: string, kind: string): string | undefined
  /** A hook that says no more than "look at this one". */
  bell(id: string): void
  /** Announces changes there from now on, in place of where it did before. */
  subscribe(hookUrl: string): Promise<void>
  /** What the bridge wrote since the last call. */
  written(): Written[]
  settle(): void
  clearFaults(): void
  close(): Promise<void>
}

import type { Account, Member } from './fleet.ts'
import type { Follower } from './follower.ts'
import type { Truth } from './truth.ts'

export const directions = ['kill → account off', 'disabled → decision denies', 'disabled → signal'] as const
export type Direction = (typeof directions)[number]

interface Watched {
  readonly direction: Direction
  readonly did: string
  readonly account: Account
  readonly from: number
}

/** How long a suspension took to arrive, faults, crashes and restarts included. */
export class Samples {
  readonly times: Readonly<Record<Direction, number[]>> = {
    'kill → account off': [],
    'disabled → decision denies': [],
    'disabled → signal': [],
  }
  /** Given up because what was to arrive was taken back before it did. */
  dropped = 0
  readonly #truth: Truth
  readonly #isHeld: (did: string) => boolean
  readonly #follower: Follower
  #watched: Watched[] = []

  constructor(truth: Truth, follower: Follower, isHeld: (did: string) => boolean) {
    this.#truth = truth
    this.#follower = follower
    this.#isHeld = isHeld
  }

  /** The accounts of an agent that nothing holds yet. */
  beforeKill(did: string): readonly Account[] {
    if (this.#isHeld(did) || this.#follower.held.has(did)) return []
    const member = this.#truth.members.find((one) => one.did === did)
    return member?.accounts.every((account) => this.#truth.isOn(account)) ? member.accounts : []
  }

  killed(did: string, accounts: readonly Account[]): void {
    const from = Date.now()
    for (const account of accounts) this.#watched.push({ direction: 'kill → account off', did, account, from })
  }

  /** Call before the switch is turned. */
  disabled({ did, accounts }: Member, account: Account): void {
    if (this.#isHeld(did) || this.#follower.held.has(did)) return
    if (!accounts.every((one) => this.#truth.isOn(one))) return
    const from = Date.now()
    this.#watched.push({ direction: 'disabled → signal', did, account, from })
    this.#watched.push({ direction: 'disabled → decision denies', did, account, from })
  }

  /** DIDs whose decision is waited for. */
  get asked(): readonly string[] {
    return this.#watched.filter(({ direction }) => direction === 'disabled → decision denies').map(({ did }) => did)
  }

  denied(did: string): void {
    this.#done((one) => one.did === did && one.direction === 'disabled → decision denies')
  }

  look(): void {
    this.#done(({ direction, account }) => direction === 'kill → account off' && !this.#truth.isOn(account))
    this.#done(
      ({ direction, did, from }) => direction === 'disabled → signal' && (this.#follower.toldAt.get(did) ?? 0) >= from,
    )
    const before = this.#watched.length
    this.#watched = this.#watched.filter(
      ({ account, did, direction, from }) =>
        Date.now() < from + 100 ||
        (direction === 'kill → account off' ? this.#isHeld(did) : !this.#truth.isOn(account)),
    )
    this.dropped += before - this.#watched.length
  }

  /** What had not arrived when changes stopped is no sample. */
  end(): void {
    this.dropped += this.#watched.length
    this.#watched = []
  }

  #done(isDone: (one: Watched) => boolean): void {
    const now = Date.now()
    const left: Watched[] = []
    for (const one of this.#watched) {
      if (isDone(one)) this.times[one.direction].push(now - one.from)
      else left.push(one)
    }
    this.#watched = left
  }
}

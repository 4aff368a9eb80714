import { type Account, adapters, type Member, type Tenancies } from './fleet.ts'
import type { Journal } from './journal.ts'
import { lag } from './tenancy.ts'

interface Moment {
  readonly at: number
  readonly on: boolean
  /** The account's own switch is off by an administrator: the bridge must not have done it, nor may it undo it. */
  readonly foreign: boolean
}

/** What really is so in the tenants, and since when; readers of a tenant may see it later. */
export class Truth {
  readonly #tenancies: Tenancies
  readonly #journal: Journal
  readonly #history = new Map<string, Moment[]>()
  /** Accounts whose own switch an administrator turned off last. */
  readonly #foreign = new Set<string>()
  readonly members: Member[]
  readonly #deleted = new Set<string>()
  /** When what many accounts of a directory hang on was last switched. */
  readonly #commonAt = new Map<string, number>()
  /** Switched on by the bridge over an administrator's disable, and neither put back nor enabled by one since. */
  readonly overruled = new Set<string>()
  readonly flips = new Map<string, number>()
  /** Changes that the bridge really made, by account. */
  readonly written = new Map<string, number>()

  constructor(tenancies: Tenancies, journal: Journal, members: Member[]) {
    this.#tenancies = tenancies
    this.#journal = journal
    this.members = members
  }

  /** Every switch of the account together. */
  isOn({ adapter, id }: Pick<Account, 'adapter' | 'id'>): boolean {
    const { above, live, others, own } = this.#tenancies[adapter].condition(id)
    if (!live || !own || !others) return false
    if (above === undefined) return true
    return 'account' in above ? this.isOn({ adapter, id: above.account }) : above.on
  }

  /** Somebody other than the bridge keeps it off, by any switch. */
  isForeign({ adapter, id }: Pick<Account, 'adapter' | 'id'>): boolean {
    if (this.isOn({ adapter, id })) return false
    const { above, live, others } = this.#tenancies[adapter].condition(id)
    if (!live || !others || this.#foreign.has(id)) return true
    if (above === undefined) return false
    return 'account' in above ? this.isForeign({ adapter, id: above.account }) : !above.on
  }

  /** It, or the account it hangs on, was gone for a while, and with it every claim of the bridge. */
  wasDeleted({ adapter, id }: Pick<Account, 'adapter' | 'id'>): boolean {
    if (this.#deleted.has(id)) return true
    const { above } = this.#tenancies[adapter].condition(id)
    return above !== undefined && 'account' in above && this.wasDeleted({ adapter, id: above.account })
  }

  /** An administrator's doing, noted with what it changed. */
  admin(account: Account, member: Member, what: string, change: () => void): void {
    this.look()
    const tenancy = this.#tenancies[account.adapter]
    const before = tenancy.condition(account.id)
    change()
    const after = tenancy.condition(account.id)
    if (!after.live) this.#deleted.add(account.id)
    if (before.own && !after.own) this.#foreign.add(account.id)
    if (after.own) this.#foreign.delete(account.id)
    this.overruled.delete(account.id)
    this.flips.set(account.id, (this.flips.get(account.id) ?? 0) + 1)
    this.#journal.count(`admin ${what}`)
    this.#journal.note('admin', [member.did, account.id], `${what} ${account.adapter}/${account.kind} ${account.id}`)
    this.look()
  }

  /** An administrator's doing to what many accounts of a directory hang on. */
  common(adapter: string, what: string, change: () => void): void {
    this.look()
    change()
    this.#commonAt.set(adapter, Date.now())
    this.#journal.note('admin', [], `${adapter}: ${what}`)
    this.look()
  }

  /** A replica that lags shows even an account made since then as it would have been before. */
  #wasShaded({ adapter, id }: Account, now: number): boolean {
    const { above } = this.#tenancies[adapter].condition(id)
    const switchedAt = this.#commonAt.get(adapter)
    return above !== undefined && switchedAt !== undefined && now - switchedAt <= lag.replicaMs
  }

  /** Takes in what changed since the last look: what no administrator did was the bridge. */
  look(): void {
    this.#requests()
    const now = Date.now()
    for (const { did, accounts } of this.members) {
      for (const account of accounts) {
        const history = this.#history.get(account.id) ?? []
        if (history.length === 0) this.#history.set(account.id, history)
        if (history.length === 0 && this.#wasShaded(account, now)) {
          history.push({ at: now - lag.replicaMs, on: false, foreign: true })
        }
        const last = history.at(-1)
        this.#overrule(account)
        const [on, foreign] = [this.isOn(account), this.isForeign(account)]
        if (last !== undefined && last.on === on && last.foreign === foreign) continue
        history.push({ at: now, on, foreign })
        if (history.length > 1)
          this.#journal.note(
            'truth',
            [did, account.id],
            `${account.adapter}/${account.id} is ${on ? 'on' : foreign ? 'off by others' : 'off by us'}`,
          )
      }
    }
  }

  #overrule({ adapter, id }: Account): void {
    if (!this.#tenancies[adapter].condition(id).own) this.overruled.delete(id)
    else if (this.#foreign.delete(id)) this.overruled.add(id)
  }

  /** The writes of the bridge as the tenants received them. */
  #requests(): void {
    for (const name of adapters) {
      for (const { at, id, on, status } of this.#tenancies[name].written()) {
        this.written.set(id, (this.written.get(id) ?? 0) + 1)
        this.#journal.note(
          'wire',
          [id],
          `${name} received ${on ? 'ENABLE' : 'disable'} of ${id} at ${new Date(at).toISOString()}, answered ${status ?? 'nothing'}`,
        )
        if (on) this.onEnable?.(name, id, at)
      }
    }
  }

  /** Told of each enable that arrives. */
  onEnable: ((adapter: string, id: string, atMs: number) => void) | undefined

  /** Two operators ended the hold that stood for the administrator: what the bridge undid is undone by their word. */
  overridden(id: string): void {
    this.overruled.delete(id)
  }

  /**
   * The bridge switched it off so soon after an administrator had switched it on that its read may still have said off
   * (docs/mirror.md): nobody can tell who wants it off, so that it waits for a person.
   */
  isDoubtful(id: string, settleMs: number): boolean {
    const [before, between, last] = (this.#history.get(id) ?? []).slice(-3)
    if (last === undefined || last.on || last.foreign) return false
    return before?.foreign === true && between?.on === true && last.at - between.at <= settleMs
  }

  /** Whether it was off, somebody else held it off, or nobody else did, at some moment of the window. */
  was(id: string, what: 'free' | 'foreign' | 'off', from: number, until: number): boolean {
    const history = this.#history.get(id) ?? []
    return history.some((moment, index) => {
      const end = history[index + 1]?.at ?? Number.POSITIVE_INFINITY
      const isSo = what === 'off' ? !moment.on : (what === 'foreign') === moment.foreign
      return isSo && moment.at <= until && end >= from
    })
  }
}

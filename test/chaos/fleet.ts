import { startAccounts } from './aws.ts'
import { startEntra } from './entra.ts'
import { startOkta } from './okta.ts'
import type { Opened, Tenancy } from './tenancy.ts'

export const adapters = ['contoso', 'fabrikam', 'acme', 'globex'] as const
export type AdapterName = (typeof adapters)[number]
export const isAdapter = (name: string): name is AdapterName => adapters.some((one) => one === name)

export interface Account extends Opened {
  readonly adapter: AdapterName
}

export interface Member {
  readonly did: string
  readonly parent: string | undefined
  readonly accounts: readonly Account[]
}

export const capabilityOf = { plain: 'read:ledger', outer: 'read:reports', nested: 'write:reports' } as const

export type Tenancies = Readonly<Record<AdapterName, Tenancy>>

export const startTenancies = async (random: () => number, seed: number): Promise<Tenancies> => ({
  contoso: await startEntra({ random, seed, hidesAgents: false, hasUsers: true }),
  fabrikam: await startEntra({ random, seed: seed + 1, hidesAgents: true, hasUsers: false }),
  acme: await startOkta({ seed: seed + 2 }),
  globex: await startAccounts({ seed: seed + 3 }),
})

/** With accounts in every directory. */
export const newMember = (tenancies: Tenancies, number: number, parent: string | undefined): Member => {
  const accounts = adapters.flatMap((adapter) => tenancies[adapter].open(number).map((one) => ({ ...one, adapter })))
  return { did: `did:agentmesh:chaos-${number}`, parent, accounts }
}

/** Three quarters stand alone; the others are chains of three. */
export const createFleet = (tenancies: Tenancies, size: number): Member[] => {
  const fleet: Member[] = []
  for (let number = 0; number < size; number++) {
    const inChain = number >= (size * 3) / 4 && number % 3 !== 0
    fleet.push(newMember(tenancies, number, inChain ? fleet[number - 1]?.did : undefined))
  }
  return fleet
}

export const registration = ({ did, parent, accounts }: Member) => ({
  did,
  name: did.slice('did:agentmesh:'.length),
  parentDid: parent ?? null,
  capabilities: ['use:tools'],
  principals: accounts.map(({ adapter, id, kind, appId }) => ({ adapter, id, kind, ...(appId && { appId }) })),
})

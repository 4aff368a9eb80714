import { test } from 'node:test'
import { startSpire } from '../../sandbox/spire/index.ts'
import { killsAndRestores } from './workload.ts'

test('a kill holds every entry of a workload and stops what it is issued; the release restores every field', async () => {
  await using spire = await startSpire({ syncMs: 300 })
  const { agentId, socket, trustDomain } = spire
  const workload = await spire.workload(['unix:uid:1001'])
  await killsAndRestores({ agentId, socket, trustDomain, workload, selector: 'unix:uid:1001' })
})

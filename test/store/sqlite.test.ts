import { openStore } from '../../src/store/index.ts'
import { storeContract } from './contract.ts'
import { directory } from './fixture.ts'

storeContract('sqlite', async () => {
  const dir = directory()
  const open = () => openStore({ url: `sqlite:${dir.file}`, now: Date.now })
  const store = await open()
  let latest = store
  return {
    store,
    reopen: async () => {
      await latest.close()
      latest = await open()
      return latest
    },
    dispose: async () => {
      await latest.close()
      dir[Symbol.dispose]()
    },
  }
})

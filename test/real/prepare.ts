import { installAzurite } from './azurite.ts'
import { installEngine } from './engine.ts'
import { imageBase } from './imagebase.ts'
import { installSpire } from './spireinstall.ts'

/** Fetches and builds what takes long to have, so that no test waits for it. What cannot be had is told. */
for (const [name, install] of Object.entries({
  'real SPIRE': installSpire,
  azurite: installAzurite,
  'container engine': installEngine,
  'base of the image': imageBase,
})) {
  const got = await install()
  console.log(typeof got === 'object' && 'skip' in got ? `${name}: skipped, ${got.skip}` : `${name}: there`)
}

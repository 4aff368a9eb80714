/** Writes `config/schema.json` from the schema: `npm run schema`. A test fails while the file is stale. */
import { writeFileSync } from 'node:fs'
import { configs } from '../../adapters/index.ts'
import { outletConfigs } from '../../outlets/index.ts'
import { configJsonSchema } from './jsonschema.ts'

const target = new URL('../../config/schema.json', import.meta.url)
writeFileSync(target, `${JSON.stringify(configJsonSchema(configs, outletConfigs), null, 2)}\n`)

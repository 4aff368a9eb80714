/** Writes `config/schema.json` from the schema: `node src/config/write-schema.ts`. A test fails while the file is stale. */
import { writeFileSync } from 'node:fs'
import { entraConfig } from '../../adapters/entra/config.ts'
import { memoryConfig } from '../../adapters/memory/config.ts'
import { configJsonSchema } from './jsonschema.ts'

const target = new URL('../../config/schema.json', import.meta.url)
const schema = configJsonSchema({ entra: entraConfig, memory: memoryConfig })
writeFileSync(target, `${JSON.stringify(schema, null, 2)}\n`)

import { initial } from './schema.v1.ts'

/** One step forward. Steps are never edited after a release; there is no way back but the backup made before. */
export interface Migration {
  readonly name: string
  readonly sql: string
}

/** The version of a database is the number of steps taken; kept in its `user_version`. */
export const migrations: readonly Migration[] = [{ name: 'initial', sql: initial }]

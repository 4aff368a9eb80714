import {
  type Compilable,
  type CompiledQuery,
  DummyDriver,
  Kysely,
  type RawBuilder,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
  sql,
} from 'kysely'
import type { Schema } from './schema.ts'

/** Only builds and compiles; statements run on the connection they are given to. */
export const build = new Kysely<Schema>({
  dialect: {
    createAdapter: () => new SqliteAdapter(),
    createDriver: () => new DummyDriver(),
    createIntrospector: (db) => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  },
})

export type Value = string | number | null
/** What a statement is run with: one value for each of its slots. */
export type Values = Readonly<Record<string, Value>>

/** Stands for a value that is given when the statement runs. */
class Slot {
  readonly name: string
  constructor(name: string) {
    this.name = name
  }
}

/** The place of the value `name`: built and compiled once, filled at each run. */
export const slot = <T extends Value>(name: string): RawBuilder<T> => sql<T>`${new Slot(name)}`
/**
 * The same for conditions. The cast changes no value: it hides the parameter from SQLite's planner, which otherwise
 * notes that another value might deserve another plan, and since the driver clears the values after each run, prepares
 * the statement anew at every one (50 µs instead of 5).
 */
export const text = <T extends string = string>(name: string): RawBuilder<T> => sql<T>`cast(${slot(name)} as text)`
export const number = <T extends number = number>(name: string): RawBuilder<T> => sql<T>`cast(${slot(name)} as integer)`

export interface Statement<R> {
  fill(values: Values): CompiledQuery<R>
}

/**
 * Compiles a query once. Building and compiling costs ten times what a look-up by key does, so nothing on a hot path
 * does it twice.
 */
export const statement = <R>(query: Compilable<R>): Statement<R> => {
  const compiled = query.compile()
  const names = compiled.parameters.map((value) => (value instanceof Slot ? value.name : undefined))
  const fixed = compiled.parameters
  return {
    fill: (values) => ({
      sql: compiled.sql,
      query: compiled.query,
      queryId: compiled.queryId,
      parameters: names.map((name, i) => (name === undefined ? fixed[i] : values[name])),
    }),
  }
}

/** Runs statements on one connection. */
export interface Run {
  all<R>(statement: Statement<R>, values?: Values): Promise<R[]>
  one<R>(statement: Statement<R>, values?: Values): Promise<R | undefined>
  /** Rows changed. */
  change(statement: Statement<unknown>, values?: Values): Promise<number>
  /** The same statement with each of the values, in order; one that fails leaves those before it. */
  each(statement: Statement<unknown>, rows: readonly Values[]): Promise<void>
  /** A query that could not be compiled beforehand. */
  query<R>(query: Compilable<R>): Promise<R[]>
}

/** A query written in SQL. */
export const raw = <R>(query: RawBuilder<R>): Statement<R> => statement({ compile: () => query.compile(build) })

/** Writes whole rows of one table. The first row fixes the columns: every row of a mapper has them all, in one order. */
export const rowWriter = <T extends keyof Schema>(table: T, key: readonly (keyof Schema[T] & string)[]) => {
  const once = (make: (columns: string[]) => RawBuilder<unknown>) => {
    let made: Statement<unknown> | undefined
    return (row: Values): Statement<unknown> => {
      made ??= raw(make(Object.keys(row)))
      return made
    }
  }
  const list = (columns: readonly string[]) => sql.join(columns.map((c) => sql.ref(c)))
  const filled = (columns: readonly string[]) => sql.join(columns.map((c) => slot(c)))
  const assigned = (columns: readonly string[]) => sql.join(columns.map((c) => sql`${sql.ref(c)} = ${slot(c)}`))
  const keyed = sql.join(
    key.map((c) => sql`${sql.ref(c)} = ${text(c)}`),
    sql` and `,
  )
  const others = (columns: readonly string[]) => columns.filter((c) => !key.some((k) => k === c))
  const insert = (columns: string[]) =>
    sql`insert into ${sql.table(table)} (${list(columns)}) values (${filled(columns)})`
  return {
    insert: once(insert),
    /** Every column but the key. */
    update: once((columns) => sql`update ${sql.table(table)} set ${assigned(others(columns))} where ${keyed}`),
    put: once(
      (columns) => sql`${insert(columns)} on conflict (${list(key)}) do update set ${assigned(others(columns))}`,
    ),
  }
}

/** Registrations given as a file, until they are registered. */
export const importTables = `
create table imports (
  id text not null primary key, at integer not null, name text,
  state text not null check (state in ('staging', 'checking', 'checked', 'applying', 'done', 'discarded')),
  actor text not null, roles text not null, request_id text, changed_at integer not null, failure text
) strict, without rowid;
create index imports_state on imports (state, changed_at, id);

-- A body goes once it is registered.
create table import_rows (
  import_id text not null references imports (id), line integer not null, did text, parent_did text,
  depth integer not null,
  state text not null check (state in ('staged', 'good', 'bad', 'registered', 'unchanged', 'failed')),
  body text, fault text, primary key (import_id, line)
) strict, without rowid;
create index import_rows_state on import_rows (import_id, state, depth, line);
create index import_rows_did on import_rows (import_id, did, line);
create index import_rows_faults on import_rows (import_id, line) where state in ('bad', 'failed');
`

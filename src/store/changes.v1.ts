/**
 * The record of changes and what writes it. Triggers, so that whoever writes a row that a decision reads cannot forget it,
 * and in the transaction of the change. A DID stands there once: with its latest change it moves to the end.
 */

const note = (did: string) => `delete from changes where did = ${did}; insert into changes (did) values (${did});`
const noteSharers = `
  delete from changes where did in (select did from sharers where adapter = new.adapter and id = new.id);
  insert into changes (did) select did from sharers where adapter = new.adapter and id = new.id;`
const noteSettings = `delete from changes where did = ''; insert into changes (did) values ('');`

const differing = (...columns: string[]) => columns.map((column) => `old.${column} is not new.${column}`).join(' or ')

/** Columns of which decisions read the present value; a table's rows come and go as well. */
const tables = {
  agents: differing('blueprint', 'parent_did', 'decommissioned', 'resumed_at'),
  sharers: differing('did', 'scopes'),
  aliases: differing('did'),
  holds: differing('did', 'origin', 'severity', 'public_reason', 'placed_at', 'released_at'),
  capability_sources: differing('did', 'capability', 'source'),
  delegations: differing('expires_at', 'ended_at'),
}

const inserted = (table: string) => `
create trigger ${table}_new after insert on ${table} begin ${note('new.did')} end;`
const gone = (table: string) => `
create trigger ${table}_gone after delete on ${table} begin ${note('old.did')} end;`
const changed = (table: string, when: string) => `
create trigger ${table}_changed after update on ${table} when ${when} begin ${note('old.did')} ${note('new.did')} end;`

/**
 * When an account was last read is written all the time: only what was never read before, or not for an hour, is worth
 * telling, and what a clock that was set back dates earlier. Whoever keeps a replica reads the rest anew before it grows stale.
 */
const hourMs = 3_600_000
const read = `(old.observed_at is null) <> (new.observed_at is null)
  or new.observed_at - old.observed_at not between 0 and ${hourMs}`

export const changeRecord = `
create table changes (seq integer primary key autoincrement, did text not null unique) strict;
${Object.entries(tables)
  .map(([table, when]) => inserted(table) + gone(table) + changed(table, when))
  .join('')}
${inserted('principals')}${gone('principals')}
create trigger principals_changed after update on principals
  when new.shared = 0 and (${differing('did', 'scopes', 'shared')} or ${read})
  begin ${note('old.did')} ${note('new.did')} end;
create trigger principals_shared after update on principals
  when new.shared = 1 and (${differing('shared')} or ${read})
  begin ${note('old.did')} ${note('new.did')} ${noteSharers} end;
create trigger blueprints_new after insert on blueprints begin ${noteSettings} end;
create trigger blueprints_gone after delete on blueprints begin ${noteSettings} end;
create trigger blueprints_changed after update on blueprints
  when ${differing('name', 'origin', 'max_depth')} begin ${noteSettings} end;
create trigger tool_servers_new after insert on tool_servers begin ${noteSettings} end;
create trigger tool_servers_gone after delete on tool_servers begin ${noteSettings} end;
create trigger tool_servers_changed after update on tool_servers
  when ${differing('name', 'origin', 'resource', 'unlisted', 'tools')} begin ${noteSettings} end;
`

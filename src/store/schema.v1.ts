import { changeRecord } from './changes.v1.ts'
import { importTables } from './imports.v1.ts'

/**
 * Version 1 of the tables. Text compares byte by byte (SQLite's default BINARY collation), so DIDs and ids are case
 * sensitive and ordered by their UTF-8 bytes. A hold's `did` and an agent's `parent_did` point at no table on purpose:
 * a kill of a DID nobody registered is kept and applies when it is.
 */
export const initial = `
create table meta (key text not null primary key, value text not null) strict, without rowid;

create table lease (
  id integer not null primary key check (id = 1), epoch integer not null, pid integer not null, host text not null,
  started_at integer not null, seen_at integer not null
) strict;

create table agents (
  did text not null primary key, name text not null, folded text not null, sponsor text, sponsor_email text,
  sponsor_id text, blueprint text, parent_did text, labels text not null,
  decommissioned integer not null check (decommissioned in (0, 1)), created_at integer not null,
  updated_at integer not null, revision integer not null, last_activity integer, resumed_at integer
) strict, without rowid;
create index agents_parent on agents (parent_did) where parent_did is not null;
create index agents_blueprint on agents (blueprint) where blueprint is not null;
create index agents_sponsor_email on agents (sponsor_email) where sponsor_email is not null;
create index agents_sponsor_id on agents (sponsor_id) where sponsor_id is not null;
create index agents_resumed on agents (resumed_at) where resumed_at is not null;

create table agent_labels (
  did text not null references agents (did) on delete cascade, key text not null, value text not null,
  primary key (did, key)
) strict, without rowid;
create index agent_labels_value on agent_labels (key, value);

create table principals (
  adapter text not null, id text not null, did text not null references agents (did), kind text not null, app_id text,
  scopes text not null, mapped_at integer not null, shared integer not null check (shared in (0, 1)),
  observed text not null check (observed in ('enabled', 'disabled', 'absent', 'unknown')), observed_at integer,
  off_read_at integer, switches text not null, depends_on text, mark text not null check (mark in ('none', 'claimed', 'ours', 'lifted')),
  claimed_at integer, sent_at integer, intent text check (intent in ('disable', 'enable')), in_flight_until integer,
  disabled_ack_at integer, enabled_ack_at integer, foreign_seen_at integer, drifts text not null,
  contested integer not null check (contested in (0, 1)), overridden_at integer, lifted_from integer,
  put_back integer not null check (put_back in (0, 1)), off_until integer, examined_until integer, copied_at integer,
  drift_accepted_at integer, read_due_at integer, read_again_at integer,
  attempts integer not null, last_error text, next_at integer, lane integer not null check (lane in (0, 1, 2, 3, 4)),
  primary key (adapter, id)
) strict, without rowid;
create index principals_did on principals (did);
create index principals_due on principals (adapter, lane, next_at, id) where next_at is not null;
create index principals_seen on principals (adapter, observed_at, id, read_due_at);
create index principals_depends on principals (depends_on, adapter) where depends_on is not null;
create index principals_unseen on principals (adapter) where observed in ('absent', 'unknown');
create index principals_marked on principals (mark, adapter) where mark <> 'none';

-- Every DID of a shared principal; the row in principals then names any one of them.
create table sharers (
  adapter text not null, id text not null, did text not null references agents (did), app_id text, scopes text not null,
  mapped_at integer not null, primary key (adapter, id, did),
  foreign key (adapter, id) references principals (adapter, id) on delete cascade
) strict, without rowid;
create index sharers_did on sharers (did);

-- Every public key of an agent, as base64url of its 32 bytes.
create table agent_keys (
  did text not null references agents (did) on delete cascade, thumbprint text not null, key text not null,
  binding text not null check (binding in ('fingerprint', 'proven', 'declared')), declared_at integer not null,
  proven_at integer, primary key (did, thumbprint)
) strict, without rowid;
create index agent_keys_thumbprint on agent_keys (thumbprint);

-- Where agents that ever had a passport stand in the status lists, for ever.
create table status_places (
  list integer not null check (list > 0), idx integer not null check (idx >= 0),
  did text not null unique references agents (did), primary key (list, idx)
) strict, without rowid;

-- Other spellings of a registered DID.
create table aliases (
  alias text not null primary key, did text not null references agents (did) on delete cascade,
  how text not null check (how in ('fingerprint', 'signature', 'asserted')), at integer not null
) strict, without rowid;
create index aliases_did on aliases (did);

-- Mappings that the agent itself proved, with its key and a token of the account.
create table proofs (
  adapter text not null, id text not null, did text not null references agents (did) on delete cascade,
  at integer not null, thumbprint text not null, primary key (adapter, id, did),
  foreign key (adapter, id) references principals (adapter, id) on delete cascade
) strict, without rowid;
create index proofs_did on proofs (did);
create trigger proofs_unshared after delete on sharers begin
  delete from proofs where adapter = old.adapter and id = old.id and did = old.did;
end;

-- Counting a million index entries for every guard decision would cost tens of milliseconds.
create table principal_counts (adapter text not null primary key, n integer not null) strict, without rowid;
create trigger principals_counted after insert on principals begin
  insert into principal_counts values (new.adapter, 1) on conflict (adapter) do update set n = n + 1;
end;
create trigger principals_uncounted after delete on principals begin
  update principal_counts set n = n - 1 where adapter = old.adapter;
end;

create table capability_sources (
  did text not null references agents (did) on delete cascade, capability text not null, source text not null,
  kind text not null, confirmed_at integer not null, primary key (did, capability, source)
) strict, without rowid;
create index capability_sources_source on capability_sources (source);
create index capability_sources_age on capability_sources (kind, confirmed_at, source);

-- Of one name the one from the configuration is in force.
create table blueprints (
  name text not null, origin text not null check (origin in ('config', 'api')), description text,
  capabilities text not null, require_sponsor integer not null check (require_sponsor in (0, 1)),
  max_depth integer, policy_adapter text, policy_id text, created_at integer not null, updated_at integer not null,
  revision integer not null, primary key (name, origin)
) strict, without rowid;

-- Blueprints whose agents after this DID do not have its present capabilities yet.
create table regrants (name text not null primary key, after text not null) strict, without rowid;

-- What may be called on the servers of tools, as blueprints: of one name the one from the configuration is in force.
create table tool_servers (
  name text not null, origin text not null check (origin in ('config', 'api')), description text, resource text,
  unlisted text, tools text not null, created_at integer not null, updated_at integer not null,
  revision integer not null, primary key (name, origin)
) strict, without rowid;
create index tool_servers_resource on tool_servers (resource) where resource is not null;

-- What a parent granted a child. ended_at: its end was told.
create table delegations (
  did text not null primary key references agents (did), parent_did text not null, capabilities text not null,
  granted_at integer not null, granted_by text not null, expires_at integer, ended_at integer, key text, signature text
) strict, without rowid;
create index delegations_due on delegations (expires_at, did) where ended_at is null and expires_at is not null;

create table holds (
  id text not null primary key, did text not null, origin text not null, origin_kind text not null,
  severity text not null check (severity in ('suspend', 'kill', 'disable', 'decommission')), reason text not null,
  public_reason text, actor text not null, on_behalf_of text, placed_at integer not null, released_at integer,
  releasable_at integer, guarded integer not null check (guarded in (0, 1)), evidence text not null
) strict, without rowid;
create index holds_did on holds (did, placed_at);
create index holds_open on holds (did, origin) where released_at is null;
create unique index holds_one on holds (did, origin)
  where released_at is null and origin_kind in ('adapter', 'cascade', 'policy');
create index holds_origin on holds (origin, id) where released_at is null;
create index holds_cascades on holds (origin, did, placed_at) where origin_kind = 'cascade';

create table kills (
  id text not null primary key, at integer not null, actor text not null, origin text not null, request_id text,
  reason text not null, evidence text not null, selector text, agents integer not null, placed integer not null,
  done_at integer
) strict, without rowid;
create index kills_at on kills (at);
create index kills_done on kills (done_at) where done_at is not null;
create index kills_unfinished on kills (at) where done_at is null;

-- A target's hold id is given before its hold exists, and its DID may be nobody's yet.
create table kill_items (
  kill_id text not null references kills (id), n integer not null, did text not null, hold_id text not null,
  primary key (kill_id, n)
) strict, without rowid;

${importTables}
-- Agents released, some of whose descendants still have the hold that they had for them.
create table cascade_ends (
  ancestor text not null primary key, at integer not null, actor text not null, request_id text
) strict, without rowid;

create table releases (
  id text not null primary key, hold_id text not null references holds (id), did text not null,
  kind text not null check (kind in ('release', 'override', 'approve')), requested_by text not null,
  requested_at integer not null, reason text not null, status text not null check (status in ('awaiting', 'done', 'void'))
) strict, without rowid;
create index releases_awaiting on releases (hold_id) where status = 'awaiting';

create table checkpoints (
  adapter text not null, feed text not null, value text not null, at integer not null, primary key (adapter, feed)
) strict, without rowid;

create table hook_inbox (
  adapter text not null, delivery text not null, at integer not null, primary key (adapter, delivery)
) strict, without rowid;
create index hook_inbox_at on hook_inbox (at);

create table signals (
  seq integer primary key autoincrement, type text not null check (type in ('suspended', 'resumed', 'capabilities')),
  did text not null, at integer not null, hold_id text, severity text, origin text, reason text, capabilities text,
  aliases text
) strict;
create index signals_at on signals (at);
create index signals_capabilities on signals (did, seq) where type = 'capabilities';
-- As they are at that moment, so that nobody who appends a signal can forget one.
create trigger signals_aliased after insert on signals when exists (select 1 from aliases where did = new.did) begin
  update signals set aliases = (
    select json_group_array(alias) from (select alias from aliases where did = new.did order by alias)
  ) where seq = new.seq;
end;

-- hold_id '' is a signal of no hold; seq 0 is an acknowledgement of the hold itself.
create table signal_acks (
  hold_id text not null, client text not null, seq integer not null, at integer not null,
  primary key (hold_id, client, seq)
) strict, without rowid;
create index signal_acks_at on signal_acks (at);

-- How far each receiver of pushes is.
create table outlets (
  name text not null primary key, identity text not null, generation text not null, urgent_seq integer not null,
  rest_seq integer not null, snapshot_seq integer, snapshot_page integer, snapshot_after text, round integer not null,
  disabled_at integer, failing_since integer, last_error text, taken_at integer
) strict, without rowid;

-- Signals that a receiver did not take, with what is pushed: they outlive their signal. next_at NULL: dead.
create table set_aside (
  outlet text not null, seq integer not null, type text not null, lane text not null check (lane in ('urgent', 'rest')),
  did text, hold_id text, at integer not null, attempts integer not null, next_at integer, dead_at integer,
  error text not null, body text not null, primary key (outlet, seq)
) strict, without rowid;
create index set_aside_due on set_aside (outlet, lane, next_at) where next_at is not null;
create index set_aside_dead on set_aside (outlet, seq) where next_at is null;
create index set_aside_dead_at on set_aside (dead_at) where next_at is null;

-- Legs of a hold's receipt: when those of accounts were closed, and what is left of each when the hold is released. The
-- adapter of a runtime is ''; one that acknowledged has its row in signal_acks.
create table legs (
  hold_id text not null, type text not null check (type in ('account', 'runtime')), adapter text not null, id text not null,
  at integer not null, answered_at integer, closed_at integer, reopened_at integer, state text, reason text, error text,
  primary key (hold_id, type, adapter, id)
) strict, without rowid;
create index legs_at on legs (at);

create table audit (
  seq integer primary key, time integer not null, type text not null, did text, hold_id text, actor text not null,
  body text not null, hash text not null
) strict;
create index audit_did on audit (did) where did is not null;
create index audit_hold on audit (hold_id) where hold_id is not null;
create index audit_actor on audit (actor);
create index audit_time on audit (time);
create trigger audit_no_update before update on audit begin select raise(abort, 'the audit chain is append-only'); end;
-- A signed statement about the last entry of those that may be dropped. One row.
create table audit_checkpoint (
  id integer primary key check (id = 1), seq integer not null, hash text not null, at integer not null, jws text not null
) strict;
create trigger audit_no_delete before delete on audit
when old.seq > coalesce((select seq from audit_checkpoint), 0)
begin select raise(abort, 'the audit chain is append-only'); end;

create table audit_text (
  seq integer not null references audit (seq), field text not null, salt text not null, text text not null,
  primary key (seq, field)
) strict, without rowid;

create table idempotency (
  client text not null, route text not null, key text not null, body_hash text not null, status integer not null,
  ref text not null, at integer not null, primary key (client, route, key)
) strict, without rowid;
create index idempotency_at on idempotency (at);

create table guard_events (
  adapter text not null, direction text not null check (direction in ('suspend', 'resume')), at integer not null,
  weight integer not null, did text not null
) strict;
create index guard_events_recent on guard_events (adapter, direction, at, weight);
create index guard_events_at on guard_events (at);

-- The latest trust score that each client reported, on the scale it is on. Settled: two operators ended the hold since.
create table trust_scores (
  did text not null references agents (did) on delete cascade, client text not null, score real not null,
  scale text not null check (scale in ('0-1000', '0-1')), at integer not null, reported_at integer not null,
  settled integer not null check (settled in (0, 1)), primary key (did, client)
) strict, without rowid;

-- Accounts that a read by id said are gone. Not believed yet: one such reading of too many, to be read once more.
create table absences (
  adapter text not null, id text not null, at integer not null, believed integer not null check (believed in (0, 1)),
  primary key (adapter, id)
) strict, without rowid;
create index absences_recent on absences (adapter, at);
create index absences_at on absences (at) where believed = 1;
create index absences_pending on absences (adapter) where believed = 0;
create trigger absences_unmapped after delete on principals begin
  delete from absences where adapter = old.adapter and id = old.id;
end;
${changeRecord}`

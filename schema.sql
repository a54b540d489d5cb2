-- The whole schema of a subledger ledger. `deliveries` is the append-only truth; every other relation of facts is
-- folded out of it and can be folded again. Comments stand inside each CREATE, so that `.schema` shows them.
--
-- Times are TEXT, UTC, YYYY-MM-DDTHH:MM:SS.sssZ. `day` is the date in the ledger's zone (meta: zone). Money is minor
-- units, with currency, exponent, a REAL for reading and the provider's exact token. `test` 1 is in no figure.

create table deliveries ( -- one authenticated request each, kept as received; UPDATE and DELETE are refused
  seq             integer primary key,  -- 1, 2, 3 ... without gaps: the order of record
  received_at     text not null,        -- when it had arrived, as our clock said, which may have been set since: the order is seq. Imports keep their own
  provider        text not null,        -- conscent, klustr, expressconsent, zotlo
  account         text not null,        -- whose credential matched; main unless named
  hook            text not null,        -- last word of the URL that the provider was given
  outcome         text not null check (outcome = 'stored' or outcome = 'duplicate' or outcome = 'quarantined'),
  duplicate_of    integer references deliveries (seq), -- the first one with the same key
  reason          text,                 -- why quarantined, or what is odd about a duplicate
  dedupe_policy   integer,              -- 1 provider's id, 2 natural key, 3 neither id nor time; null: never a duplicate
  dedupe_key      text,                 -- what it is told apart by; null when erased
  confidence      text check (confidence = 'certain' or confidence = 'likely' or confidence = 'ambiguous'), -- of the duplicate decision
  credential      text not null,        -- proofs that were right (#2: second newest secret) or :unchecked, joined by +
  identity_proof  text check (identity_proof = 'verified' or identity_proof = 'mismatch' or identity_proof = 'unverifiable' or identity_proof = 'absent'), -- of an address
  remote_ip       text not null,        -- the caller, as far as trusted proxies tell
  origin          text not null check (origin = 'live' or origin = 'import' or origin = 'admitted' or origin = 'demo'),
  test            integer not null default 0 check (test in (0, 1)),
  provider_type   text not null,        -- the provider's own name of what it is; empty if untold
  reader_version  integer not null,     -- version of the reading code that decided the outcome
  body_bytes      integer not null,     -- length of the body as received
  salt            blob,                 -- 16 random bytes; null when erased or dropped for its age
  commitment      blob not null,        -- SHA-256(salt || body)
  link            blob not null,        -- SHA-256(previous link || seq || received_at || provider || account || hook || commitment)
  erased_at       text,                 -- when body and salt were erased; `pruned` knows those dropped for their age
  headers         text not null,        -- JSON array of [name, value]; credentials replaced by a fingerprint
  body            any                   -- TEXT if valid UTF-8 without NUL, else BLOB; exact bytes; null when erased, or in `pruned`. Last: lists stay fast
) strict;

create index deliveries_received on deliveries (received_at, seq);                        -- lists by arrival
create index deliveries_provider on deliveries (provider, account, received_at);          -- last webhook, gaps, filter by provider
create index deliveries_odd on deliveries (outcome, received_at, seq, reason, provider, account, test, erased_at) -- repeats and quarantine, and what Today says of them
  where outcome <> 'stored';
create index deliveries_test on deliveries (seq) where test = 1;                          -- tests mark, tests clear
create index deliveries_imported on deliveries (seq) where origin = 'import';             -- never new, whenever they came

create table upkeep ( -- while a row stands here, in the same transaction, the triggers below let its reason through
  reason text primary key check (reason in ('erasure', 'retention', 'quarantine', 'test'))
) strict;

create trigger deliveries_no_update before update of
  seq, received_at, provider, account, hook, dedupe_policy, confidence, credential, remote_ip, origin,
  body_bytes, commitment, link on deliveries
begin select raise(abort, 'deliveries are append-only'); end;

create trigger deliveries_guarded_update before update of
  outcome, duplicate_of, reason, dedupe_key, identity_proof, test, provider_type, reader_version, salt, erased_at, headers, body on deliveries
when not exists (select 1 from upkeep)
begin select raise(abort, 'deliveries are append-only'); end;

create trigger deliveries_no_delete before delete on deliveries
begin select raise(abort, 'deliveries are append-only'); end;

create trigger deliveries_no_replace before insert on deliveries
when new.seq <= (select max(seq) from deliveries)
begin select raise(abort, 'deliveries are append-only'); end;

create table delivery_keys ( -- what a delivery that was here before is recognised by
  hash blob primary key,                -- first 16 bytes of SHA-256 over provider, account and key; an import also has one of itself
  seq  integer not null                 -- the first delivery with it; for keys with a window the last stored one
) strict, without rowid;

create table seals ( -- a checksum over every column of a delivery that its link does not cover: finds damage, not forgery
  seq  integer primary key,             -- the delivery
  seal integer not null                 -- first 8 bytes of SHA-256 over those columns, each behind its kind and length
) strict;

create table pruned ( -- deliveries whose body was dropped for its age: what was read out of them is folded in its place
  seq     integer primary key references deliveries (seq),
  seal    integer not null,             -- first 8 bytes of SHA-256 over seq and reading: finds damage
  reading blob                          -- JSON of keys and events, as a zlib stream; null: a repeat, or not understood, which gives none
) strict;

create table unconfirmed ( -- deliveries whose 200 is not known to have been written out
  seq integer primary key references deliveries (seq)
) strict;

create table events ( -- normalised facts, 0..n per delivery
  id                 integer primary key, -- seq * 10000 + n
  seq                integer not null references deliveries (seq),
  n                  integer not null,    -- place in its delivery, from 0
  provider           text not null,
  account            text not null,
  app                text not null,       -- app, client or domain as the body says; empty if it does not
  type               text not null,       -- subscription.cancelled, payment.succeeded, ...
  provider_type      text not null,       -- the provider's own name, verbatim
  at                 text not null,       -- occurred_at, else received_at
  day                text not null,       -- of at, in the ledger's zone
  occurred_at        text,                -- as stated; null if not or not plausibly
  occurred_at_source text not null check (occurred_at_source = 'body' or occurred_at_source = 'header' or occurred_at_source = 'none' or occurred_at_source = 'implausible'),
  received_at        text not null,
  user_id            text,
  users_id           integer references users (id) deferrable initially deferred, -- the row in users, if there is one
  email              text,
  phone              text,
  name               text,
  subscription_id    text,
  plan               text,
  amount_minor       integer,             -- of payment.* only; refunds negative
  currency           text,
  exponent           integer,
  amount             real,
  amount_text        text,                -- the provider's exact token
  test               integer not null,
  data               text not null        -- JSON object: facts for folding, and more of the body
) strict;

create index events_at on events (at, id);                                  -- the list, jump to time
create index events_provider on events (provider, account, at, id);         -- filter by provider, by account
create index events_type on events (type, provider, account, at, id);       -- filter by type, and by both
create index events_user on events (provider, account, user_id, at) where user_id is not null; -- one reader
create index events_subscription on events (provider, account, subscription_id) where subscription_id is not null; -- one subscription
create index events_trial on events (provider, account, subscription_id) where type = 'subscription.trial_started'; -- never paid for yet
create index events_late on events (id, at, provider, account, test)         -- happened in an earlier hour than they came
  where substr(at, 1, 13) < substr(received_at, 1, 13);
create index events_refunds on events (id) where type = 'payment.refunded'; -- new ones
create index events_users on events (users_id) where users_id is not null;  -- folding one reader; the foreign key
create index events_folded on events (provider, account, user_id, type)     -- folding a reader's subscriptions and consents
  where substr(type, 1, 4) in ('subs', 'cons', 'agre', 'expe', 'iden') or type = 'payment.refunded';

create table users ( -- readers, per provider and account; never merged
  id                   integer primary key, -- of their first event received
  provider             text not null,
  account              text not null,
  user_id              text not null,       -- the provider's id, or one built from e-mail, phone or lead
  email                text,
  phone                text,
  name                 text,
  country              text,
  city                 text,
  client_user_id       text,                -- the publisher's own id
  registered_at        text,                -- earliest registration; null if none was seen
  first_seen_at        text not null,       -- earliest event
  last_seen_at         text not null,       -- latest thing that the reader did, else earliest event
  sign_ins             integer not null,
  identity_proof       text,                -- latest result other than absent
  active_subscriptions integer not null,    -- with access, by the clock
  consents_given       integer not null,    -- of kinds consent and evidence, in state given
  test                 integer not null,
  folded_to            text not null,       -- time of the latest event folded in: a later one is folded onto this row
  unique (provider, account, user_id)
) strict;

create index users_seen on users (last_seen_at, id);                        -- the list
create index users_registered on users (registered_at, test) where registered_at is not null; -- new readers, day by day
create index users_email on users (email collate nocase) where email is not null;       -- also seen as
create index users_phone on users (phone) where phone is not null;

create table user_aliases ( -- other ids of a reader in the same body: shown, never merged
  provider text not null,
  account  text not null,
  user_id  text not null,
  alias    text not null,
  source   text not null,                   -- the field it stood in
  seq      integer not null references deliveries (seq), -- the first delivery that said so
  primary key (provider, account, user_id, alias)
) strict, without rowid;

create index user_aliases_alias on user_aliases (alias);

create table subscriptions ( -- one row per subscription id
  id              integer primary key,      -- of its first event received
  provider        text not null,
  account         text not null,
  app             text not null,
  subscription_id text not null,
  gateway_id      text,                     -- the payment gateway's id of the mandate
  purchase_id     text,                     -- the latest purchase
  user_id         text,
  users_id        integer references users (id) deferrable initially deferred,
  email           text,
  plan            text,
  status          text not null check (status = 'pending' or status = 'trialing' or status = 'active' or status = 'grace' or status = 'on_hold' or status = 'paused' or status = 'expired' or status = 'revoked'), -- by the clock
  stated_status   text not null,            -- as the events say, whatever the clock
  state           text not null,            -- one phrase: renews 14 Dec
  auto_renew      integer,                  -- 1, 0 or null: not told
  has_access      integer,                  -- by the clock; null without a date
  access_until    text,
  access_derived  integer not null,         -- 1: computed from a duration, not stated
  started_at      text,
  renewed_at      text,
  converted_at    text,                     -- when the trial became paid
  cancelled_at    text,                     -- of the open cancellation
  cancel_reason   text,
  price_minor     integer,
  currency        text,
  exponent        integer,
  price           real,
  interval_unit   text check (interval_unit = 'day' or interval_unit = 'week' or interval_unit = 'month' or interval_unit = 'year'),
  interval_count  integer,
  interval_months real,
  flag            text,                     -- a word for the publisher
  changed_at      text not null,            -- time of the latest event
  clock_at        text,                     -- when status or has_access change by the clock alone
  test            integer not null,
  unique (provider, account, subscription_id)
) strict;

create index subscriptions_changed on subscriptions (changed_at, id);       -- the list
create index subscriptions_user on subscriptions (provider, account, user_id);
create index subscriptions_clock on subscriptions (clock_at) where clock_at is not null; -- what the clock changes next
create index subscriptions_plan on subscriptions (plan);
create index subscriptions_started on subscriptions (started_at, status, test); -- new ones, day by day
create index subscriptions_ended on subscriptions (                        -- when those were over that are
  case when status = 'revoked' then coalesce(cancelled_at, changed_at)
       when status <> 'expired' then null
       when stated_status = 'expired' or access_until is null then changed_at
       when auto_renew = 0 then access_until
       else strftime('%Y-%m-%dT%H:%M:%fZ', access_until, '+1 day') end, test, provider, account, subscription_id
) where status = 'expired' or status = 'revoked';
create index subscriptions_live on subscriptions (                         -- what renews and what ends, and what it is worth
  provider, account, currency, exponent, price_minor, interval_unit, interval_count, interval_months,
  test, status, has_access, auto_renew, cancelled_at
) where has_access = 1 or (status <> 'pending' and status <> 'expired' and status <> 'revoked');
create index subscriptions_ends on subscriptions (access_until, test)      -- what runs out soon
  where has_access = 1 and (cancelled_at is not null or auto_renew = 0);
create index subscriptions_converted on subscriptions (converted_at) where converted_at is not null; -- trials that were paid for
create index subscriptions_users on subscriptions (users_id) where users_id is not null; -- the foreign key

create table cancellations ( -- one row per spell: opened by a cancel, closed by a return
  id              integer primary key,      -- of the event that opened it; negative for further parts of a refunded bundle
  seq             integer not null references deliveries (seq),
  provider        text not null,
  account         text not null,
  subscription_id text not null,
  gateway_id      text,
  user_id         text,
  email           text,
  name            text,
  plan            text,
  cancelled_at    text not null,
  day             text not null,
  reason          text,
  code            text,                     -- the provider's code of the reason
  actor           text not null check (actor = 'user' or actor = 'merchant' or actor = 'system' or actor = 'payment' or actor = 'unknown'),
  matched         text not null check (matched = 'exact' or matched = 'gateway' or matched = 'only' or matched = 'none'), -- how it found its subscription
  access_until    text,
  price_minor     integer,
  currency        text,
  exponent        integer,
  price           real,
  reactivated_at  text,
  test            integer not null
) strict;

create index cancellations_at on cancellations (cancelled_at, id, actor, test); -- the list; who asked, day by day
create index cancellations_seq on cancellations (seq, actor, test, provider, account); -- new ones; the foreign key
create index cancellations_unpaid on cancellations (provider, account, subscription_id)
  where reactivated_at is null and actor = 'payment';                      -- which ended for want of payment
create index cancellations_subscription on cancellations (provider, account, subscription_id);
create index cancellations_back on cancellations (reactivated_at) where reactivated_at is not null; -- who came back
create index cancellations_day on cancellations (day);

create table consents ( -- the present state of every purpose
  provider text not null,
  account  text not null,
  app      text not null,                   -- app id; agreement id of an agreement; else empty
  user_id  text not null,
  kind     text not null check (kind = 'consent' or kind = 'agreement' or kind = 'experiment' or kind = 'identity' or kind = 'evidence'),
  purpose  text not null,
  state    text not null check (state = 'given' or state = 'withdrawn' or state = 'refused' or state = 'expired'),
  since    text not null,
  method   text,
  version  text,                            -- of the wording
  evidence text,                            -- the provider's id of the proof
  seq      integer not null references deliveries (seq), -- the delivery that brought the state
  id       integer not null,                -- of the latest row in consent_changes
  test     integer not null,
  primary key (provider, account, user_id, kind, app, purpose)
) strict, without rowid;

create index consents_since on consents (since, id);                        -- the list

create table consent_changes ( -- the history: a row where a state changed
  id           integer primary key,         -- event id * 10000 + place in it
  seq          integer not null references deliveries (seq),
  at           text not null,
  day          text not null,
  provider     text not null,
  account      text not null,
  app          text not null,
  user_id      text not null,
  email        text,
  kind         text not null,
  purpose      text not null,
  before_state text,                        -- null: not known before
  after_state  text not null,
  method       text,
  version      text,
  test         integer not null
) strict;

create index consent_changes_at on consent_changes (at, id);                -- the list
create index consent_changes_user on consent_changes (provider, account, user_id, kind, app);

create table payments ( -- money in and out; refunds are rows of their own
  id              integer primary key,      -- of its event
  seq             integer not null references deliveries (seq),
  provider        text not null,
  account         text not null,
  payment_id      text not null,
  transaction_id  text,
  user_id         text,
  users_id        integer references users (id) deferrable initially deferred,
  subscription_id text,
  at              text not null,
  day             text not null,
  kind            text not null check (kind in ('payment', 'refund')),
  amount_minor    integer,                  -- refunds negative; null: see flag
  net_minor       integer,                  -- what the publisher keeps, if told
  currency        text,
  exponent        integer,
  amount          real,
  amount_text     text,
  status          text not null,            -- the provider's word
  plan            text,
  flag            text,                     -- why the amount needs a look
  for_subscription integer not null,        -- belongs to a subscription, announced or not
  test            integer not null
) strict;

create index payments_at on payments (at, id);                              -- the list
create index payments_user on payments (provider, account, user_id);
create index payments_users on payments (users_id) where users_id is not null; -- the foreign key
create index payments_transaction on payments (provider, account, transaction_id) where transaction_id is not null;
create index payments_plan on payments (plan) where plan is not null;          -- words that name a plan
create index payments_subscription on payments (provider, account, subscription_id) where subscription_id is not null;

create table rejected ( -- requests that failed authentication or a limit: a bounded ring
  id          integer primary key,
  received_at text not null,
  provider    text not null,                -- as far as the path tells; empty if it names none of ours
  hook        text not null,
  path        text not null,                -- a path key shown as its fingerprint
  reason      text not null,
  remote_ip   text not null,
  method      text not null,
  headers     text not null,                -- JSON array of [name, value]; passwords and keys as fingerprints
  body_bytes  integer not null,             -- as received, even where the body was not kept
  sha256      text,                         -- of the body, hex; null where it was not read to its end
  admitted_seq integer references deliveries (seq), -- taken in after all
  body        blob                          -- null where it was not kept
) strict;

create index rejected_at on rejected (received_at, id);
create index rejected_provider on rejected (provider, id);

create table rejected_lost ( -- what the ring could not hold or held for long enough, counted
  hour     text not null,                   -- YYYY-MM-DDTHH:00:00.000Z
  provider text not null,
  reason   text not null,
  requests integer not null,
  primary key (hour, provider, reason)
) strict, without rowid;

create table checks ( -- GETs on a hook with the right path key: the publisher or provider trying the link
  provider text not null,
  account  text not null,
  hook     text not null,
  requests integer not null,
  last_at  text not null,
  primary key (provider, account, hook)
) strict, without rowid;

create table daily ( -- events per day, duplicates and tests left out
  day      text not null,                   -- of at, in the ledger's zone
  provider text not null,
  account  text not null,
  type     text not null,
  events   integer not null,
  users    integer not null,                -- distinct
  primary key (day, provider, account, type)
) strict, without rowid;

create table reviews ( -- when the publisher had seen everything, by position
  id          integer primary key,
  reviewed_at text not null,
  seq         integer not null,             -- everything up to here was reviewed
  undone_at   text
) strict;

create table views ( -- saved filters
  name     text primary key,
  list     text not null,
  query    text not null,
  saved_at text not null
) strict, without rowid;

create table upgrades ( -- what newer versions of subledger made of this ledger
  id          integer primary key,
  at          text not null,                -- when it began
  program     text not null,                -- the version of subledger that did it
  what        text not null check (what in ('schema', 'reading')), -- the tables, or what is read out of webhooks
  before      integer not null,             -- schema version or reader version
  after       integer not null,
  copy        text,                         -- file beside the ledger: as it was before
  looked_at   integer not null default 0,   -- webhooks not understood before: each is read again
  understood  integer not null default 0,   -- of them, understood now
  lost        integer not null default 0,   -- understood before, not understood any more
  types       text not null default '[]',   -- JSON array: what was understood now, in the providers' words
  finished_at text                          -- null: lists are still catching up
) strict;

create table erasures ( -- readers who were erased because somebody asked; nobody is named in one that is finished
  id          integer primary key,
  begun_at    text not null,                -- what had arrived by then is erased; what arrives later is a new relationship
  finished_at text,                         -- null: the next start goes on with it
  last_seq    integer not null,             -- deliveries up to here belong to it
  looked_seq  integer not null,             -- up to here they were looked through
  keeps       integer not null check (keeps in (0, 1)), -- 1: a residue stays, so that past figures do not change
  sought      text,                         -- JSON: who is looked for; null when finished
  deliveries  integer not null default 0,   -- so many were erased
  rejected    integer not null default 0    -- so many requests that were turned away were dropped
) strict;

create table erasing ( -- deliveries that the erasure under way has found and not erased yet
  seq   integer primary key references deliveries (seq),
  noted integer not null default 0          -- 1: its residue is written down
) strict;

create table residue ( -- what is left of deliveries that were erased or pruned, for past figures: no id, no time of day
  seq          integer not null references deliveries (seq),
  n            integer not null,            -- the event in it
  what         text not null check (what in ('event', 'reader', 'subscription', 'cancellation', 'change')), -- the row that it was or made
  place        integer not null default 0,  -- among several of one event
  why          text not null check (why in ('erased', 'pruned')), -- a reader asked, or its time was over
  provider     text not null,
  account      text not null,
  type         text not null,               -- of the event
  day          text not null,               -- in the ledger's zone, as it was then; of a reader: when they registered
  plan         text,
  amount_minor integer,
  currency     text,
  exponent     integer,
  readers      integer not null default 0,  -- 1: it counts as a reader of its day and type
  kind         text,                        -- of a change of consent, as the next three
  purpose      text,
  before_state text,
  after_state  text,                        -- of a subscription: expired or revoked, if it was over
  actor        text,                        -- of a cancellation, as the next two
  reason       text,                        -- only where another reader gave the same
  code         text,
  start_day    text,                        -- of a subscription: when it began, as the next
  paid_day     text,                        -- when its trial became paid
  end_day      text,                        -- of a subscription: when it was over; of a cancellation: when it was taken back
  ends         integer,                     -- of a cancellation for want of payment: seq * 10000 + n of its subscription here
  primary key (seq, n, what, place)
) strict, without rowid;

create table erased_readers ( -- what erased readers were told by, as HMAC-SHA-256 with a key in meta: it names nobody, but whoever has the file can try guesses
  hash  blob primary key,
  until text not null,                      -- what arrived up to then stays erased
  seal  integer not null                    -- first 8 bytes of SHA-256 over the columns before it, each behind its kind and length
) strict, without rowid;

create table erased_keys ( -- the same of what erased deliveries were recognised by: a repeat of one stays a repeat
  hash blob primary key,
  seq  integer,                             -- the first delivery with it; null: it was no delivery
  seal integer not null
) strict, without rowid;

create table meta ( -- schema_version, ledger_id, zone, created_at, folded_seq, reader_version, fingerprint_key, erasure_key, clearing, as_of,
                    -- pruned_to, pruned_last, overwrite_since, probe_at, clock_again, clock_doubt_ms, alerts, heartbeat, backup, pin.N (the saved filter that digit N opens),
                    -- order.NAME (which end of a saved filter comes first)
  key   text primary key,
  value text not null
) strict, without rowid;

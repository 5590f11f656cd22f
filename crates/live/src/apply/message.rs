//! A batch as one message.
//!
//! Invariant: from its first lock to its COMMIT a transaction waits for nobody on our side, since
//! everything is sent at once; whatever is wrong ends it on the server, before or instead of the
//! COMMIT.

use std::time::Duration;

use reconcile_kinds::{Pieces, RelationLock};
use reconcile_plan::{Batch, Step};
use reconcile_sql::literal::dollar_quote;
use reconcile_sql::{LockLevel, ServerVersion, quote_literal};

use crate::journal::Journal;
use crate::lease::Lease;
use crate::marks::Mark;
use crate::reading::{SETTINGS, search_path};
use crate::rows::ResultSet;

/// The SQLSTATEs with which our own conditions end a transaction.
pub(super) mod ends {
    /// The definitions changed.
    pub(crate) const CHANGED: &str = "RC002";
    /// A guard counted something.
    pub(crate) const GUARD: &str = "RC003";
    /// A proof failed.
    pub(crate) const PROOF: &str = "RC004";
    /// The time for which locks may be held is over.
    pub(crate) const TOO_LONG: &str = "RC005";
}

/// What a transaction is built from.
pub(super) struct Inputs<'a> {
    pub(super) journal: &'a Journal,
    pub(super) lease: &'a Lease,
    pub(super) run: i64,
    /// The number of the batch, from 1.
    pub(super) number: usize,
    pub(super) batch: &'a Batch,
    /// How long each lock may be waited for this time.
    pub(super) lock_timeout: Duration,
    pub(super) mark: &'a Mark,
    pub(super) version: ServerVersion,
    /// `SET LOCAL ROLE …`, where the session does not have the role.
    pub(super) preamble: Option<&'a str>,
    /// The approvals that lift guards.
    pub(super) lifted: &'a [String],
    /// Statements for the end, before the COMMIT: the stamp, the end of the run.
    pub(super) closing: Vec<String>,
}

/// A message, and which step each of its statements belongs to.
pub(super) struct Message {
    statements: Vec<String>,
    steps: Vec<Option<usize>>,
    current: Option<usize>,
}

impl Message {
    fn new() -> Self {
        Self { statements: Vec::new(), steps: Vec::new(), current: None }
    }

    fn push(&mut self, sql: impl Into<String>) {
        self.statements.push(sql.into());
        self.steps.push(self.current);
    }

    /// A block that runs `body`, quoted so that nothing in it can end it.
    fn block(&mut self, body: &str) {
        self.push(format!("DO {}", dollar_quote(&format!(" {body} "))));
    }

    /// As it is sent. A statement may end with a comment, so each ends with its line.
    pub(super) fn sql(&self) -> String {
        self.statements.join("\n;\n")
    }

    /// How many rows the statements of steps have written.
    pub(super) fn written(&self, sets: &[ResultSet]) -> u64 {
        let of_steps = self.steps.iter().zip(sets).filter(|(step, _)| step.is_some());
        of_steps.map(|(_, set)| set.rows_affected).sum()
    }

    /// The step that a failed statement belongs to.
    pub(super) fn step_of(&self, statement: Option<&str>, index: usize) -> Option<usize> {
        let same = |sql: &String| Some(sql.trim()) == statement.map(str::trim);
        let at = match self.statements.get(index) {
            Some(sql) if same(sql) => index,
            _ => self.statements.iter().position(same).unwrap_or(index),
        };
        self.steps.get(at).copied().flatten()
    }
}

/// The settings at the beginning of every transaction that changes something.
pub(super) fn begin(message: &mut Message, preamble: Option<&str>, lock_timeout: Duration) {
    message.push("BEGIN ISOLATION LEVEL READ COMMITTED");
    if let Some(preamble) = preamble {
        message.push(preamble);
    }
    for (name, value) in SETTINGS {
        message.push(format!("SET LOCAL {name} = {value}"));
    }
    message.push(format!("SET LOCAL search_path = {}", search_path("")));
    // Row security may not hide rows from what counts them: an error is better.
    message.push("SET LOCAL row_security = off");
    message.push(format!("SET LOCAL lock_timeout = {}", millis(lock_timeout)));
    message.push("SET LOCAL statement_timeout = 0");
    message.push("SET LOCAL idle_in_transaction_session_timeout = '10s'");
}

/// A short transaction that writes a column of some rows, and rolls back when it takes longer than it
/// may: `before` and `after` are ours, `update` is the step's.
pub(super) fn piece(
    preamble: Option<&str>,
    longest: Duration,
    pieces: &Pieces,
    (step, before, update, after): (&Step, String, String, Vec<String>),
) -> Message {
    let mut message = Message::new();
    begin(&mut message, preamble, Duration::from_millis(200));
    message.push(format!("SET LOCAL statement_timeout = {}", millis(longest)));
    // What a crash of the server takes away it takes with its note: the next apply does it again.
    message.push("SET LOCAL synchronous_commit = off");
    message.push(format!("SET LOCAL reconcile.backfill = {}", quote_literal(&pieces.setting())));
    if pieces.replica {
        message.push("SET LOCAL session_replication_role = replica");
    }
    message.push(before);
    message.push(format!("SET LOCAL search_path = {}", search_path(step.home())));
    message.current = Some(step.number);
    message.push(update);
    message.current = None;
    message.push(format!("SET LOCAL search_path = {}", search_path("")));
    for statement in after {
        message.push(statement);
    }
    message.push("COMMIT");
    message
}

/// A short transaction of ours without steps.
pub(super) fn small(
    preamble: Option<&str>,
    statements: impl IntoIterator<Item = String>,
) -> Message {
    let mut message = Message::new();
    begin(&mut message, preamble, Duration::from_secs(5));
    message.push("SET LOCAL statement_timeout = '30s'");
    for statement in statements {
        message.push(statement);
    }
    message.push("COMMIT");
    message
}

/// A batch with everything around its steps.
pub(super) fn transaction(inputs: Inputs<'_>) -> Message {
    let Inputs { journal, lease, run, number, batch, lock_timeout, mark, .. } = inputs;
    let Inputs { version, preamble, lifted, closing, .. } = inputs;
    let bounded = !batch.hold.is_zero();
    let mut message = Message::new();
    begin(&mut message, preamble, lock_timeout);
    if bounded && version.at_least(17) {
        // The last resort: the session ends with it. Everything else is bounded on its own.
        let locks = u32::try_from(batch.locks.len() + batch.steps.len()).unwrap_or(u32::MAX);
        let whole = lock_timeout.saturating_mul(locks).max(batch.stall) + batch.hold;
        let whole = whole + Duration::from_secs(15);
        message.push(format!("SET LOCAL transaction_timeout = {}", millis(whole)));
    }
    message.push(lease.check());
    message
        .block("BEGIN PERFORM set_config('reconcile.began', clock_timestamp()::text, true); END");
    if !batch.locks.is_empty() {
        message.block(&lock_relations(&batch.locks, lock_timeout));
    }
    message.block(&locked(batch.hold, mark));
    for step in &batch.steps {
        message.current = Some(step.number);
        for (at, guard) in step.guards.iter().enumerate() {
            if guard.lifted_by.is_some_and(|by| lifted.iter().any(|l| l == by)) {
                continue;
            }
            budget(&mut message, bounded, None);
            if guard.by_index {
                message.push("SET LOCAL enable_seqscan = off");
            }
            message.block(&format!(
                "DECLARE n bigint; BEGIN EXECUTE {} INTO n; IF n IS DISTINCT FROM 0 THEN RAISE \
                 EXCEPTION USING ERRCODE = '{}', MESSAGE = 'guard', DETAIL = '{} {at} ' || \
                 coalesce(n, -1); END IF; END",
                quote_literal(&guard.sql),
                ends::GUARD,
                step.number,
            ));
            if guard.by_index {
                message.push("SET LOCAL enable_seqscan = DEFAULT");
            }
        }
        for (at, proof) in step.proofs.iter().enumerate() {
            budget(&mut message, bounded, None);
            message.block(&format!(
                "DECLARE v text; BEGIN EXECUTE {} INTO v; PERFORM set_config('{}', \
                 coalesce(v, ''), true); END",
                quote_literal(&as_text(&proof.before)),
                proof_setting(step.number, at),
            ));
        }
    }
    let mut namespace = "";
    for steps in batch.steps.chunks(NOTED) {
        for (at, step) in steps.iter().enumerate() {
            message.current = Some(step.number);
            let home = step.home();
            if home != namespace {
                namespace = home;
                message.push(format!("SET LOCAL search_path = {}", search_path(home)));
            }
            budget(&mut message, bounded, Some(at));
            message.push(step.sql.as_str());
        }
        message.current = None;
        // A step ends when the next one begins.
        budget(&mut message, bounded, Some(steps.len()));
        let Some((first, last)) = steps.first().zip(steps.last()) else { continue };
        let (first, last) = (first.number, last.number);
        let noted =
            |at: String| format!("current_setting('reconcile.begins_' || {at})::timestamptz");
        let times = (noted(format!("number - {first}")), noted(format!("number - {first} + 1")));
        message.push(journal.steps_are_done(run, (first, last), (&times.0, &times.1)));
    }
    message.push(format!("SET LOCAL search_path = {}", search_path("")));
    for step in &batch.steps {
        message.current = Some(step.number);
        for (at, proof) in step.proofs.iter().enumerate() {
            budget(&mut message, bounded, None);
            message.block(&format!(
                "DECLARE v text; b text := current_setting('{}'); BEGIN EXECUTE {} INTO v; \
                 IF coalesce(v, '') <> b THEN RAISE EXCEPTION USING ERRCODE = '{}', \
                 MESSAGE = 'proof', DETAIL = json_build_array({}, {at}, left(b, 500), \
                 left(v, 500))::text; END IF; END",
                proof_setting(step.number, at),
                quote_literal(&as_text(&proof.after)),
                ends::PROOF,
                step.number,
            ));
        }
    }
    message.current = None;
    for statement in closing {
        message.push(statement);
    }
    let between = |from: &str, to: &str| {
        format!("(extract(epoch FROM {to} - current_setting('{from}')::timestamptz) * 1000)::int8")
    };
    let locked_at = "current_setting('reconcile.locked')::timestamptz";
    let wait = between("reconcile.began", locked_at);
    let hold = between("reconcile.locked", "clock_timestamp()");
    message.push(journal.batch_took(run, number, &wait, &hold));
    message.push(format!(
        "SELECT {} AS reconcile_mark, {wait} AS lock_wait, {hold} AS hold",
        mark.sql()
    ));
    if bounded {
        message.block(&over());
    }
    message.push("COMMIT");
    message
}

/// Locks what can be locked, each in its own mode and in the given order.
///
/// LOCK TABLE takes tables, and a view only together with everything that it reads. A view, a
/// materialized view or a foreign table is locked alone by giving it to the owner that it has: the
/// catalog is not written then (`ATExecChangeOwner`). What is neither, what this transaction will
/// make, and what the role may not lock so, is left to the statements, which lock it themselves.
///
/// Several locks are given up together before the `deadlock_timeout` of whoever holds the second
/// and waits for the first: his server process would find the deadlock and end *his* transaction
/// (`CheckDeadLock` runs in the process that has waited for so long).
fn lock_relations(locks: &[RelationLock], lock_timeout: Duration) -> String {
    let rows: Vec<String> = locks
        .iter()
        .enumerate()
        .map(|(at, lock)| {
            format!(
                "({at}, {}, {}, '{}', {})",
                quote_literal(&lock.relation.namespace),
                quote_literal(&lock.relation.name),
                lock.level,
                lock.level == LockLevel::AccessExclusive,
            )
        })
        .collect();
    let each = millis(lock_timeout);
    let all = match locks.len() {
        1 => each.to_string(),
        _ => "extract(epoch FROM current_setting('deadlock_timeout')::interval) * 900".to_owned(),
    };
    format!(
        "DECLARE w record; c record; remaining int8; \
         deadline timestamptz := clock_timestamp() + ({all}) * interval '1 ms'; BEGIN \
         FOR w IN SELECT * FROM (VALUES {}) AS v(at, namespace, name, mode, whole) ORDER BY at LOOP \
         SELECT k.oid, k.relkind, pg_get_userbyid(k.relowner) AS owner, \
         pg_has_role(k.relowner, 'USAGE') AS own INTO c \
         FROM pg_catalog.pg_class k JOIN pg_catalog.pg_namespace n ON n.oid = k.relnamespace \
         WHERE n.nspname = w.namespace AND k.relname = w.name; \
         CONTINUE WHEN NOT FOUND; \
         remaining := (extract(epoch FROM deadline - clock_timestamp()) * 1000)::int8; \
         IF remaining < 1 THEN RAISE EXCEPTION USING ERRCODE = '55P03', \
         MESSAGE = 'the locks were not had together'; END IF; \
         PERFORM set_config('lock_timeout', least({each}, remaining)::text, true); \
         IF c.relkind IN ('r', 'p') THEN \
         IF has_table_privilege(c.oid, 'UPDATE, DELETE, TRUNCATE') THEN \
         EXECUTE format('LOCK TABLE %I.%I IN %s MODE', w.namespace, w.name, w.mode); END IF; \
         ELSIF c.relkind IN ('v', 'm', 'f') AND w.whole AND c.own THEN \
         EXECUTE format('ALTER %s %I.%I OWNER TO %I', CASE c.relkind WHEN 'v' THEN 'VIEW' \
         WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'FOREIGN TABLE' END, w.namespace, w.name, c.owner); \
         END IF; END LOOP; PERFORM set_config('lock_timeout', '{each}', true); END",
        rows.join(", ")
    )
}

/// What is done as soon as the locks are held: the time begins, the mark is compared.
fn locked(hold: Duration, mark: &Mark) -> String {
    format!(
        "BEGIN PERFORM set_config('reconcile.locked', clock_timestamp()::text, true), \
         set_config('reconcile.deadline', (clock_timestamp() + interval '{} ms')::text, true); \
         IF {} IS DISTINCT FROM {} THEN RAISE EXCEPTION USING ERRCODE = '{}', \
         MESSAGE = 'the definitions were changed since the plan was made'; END IF; END",
        millis(hold),
        mark.sql(),
        quote_literal(mark.digest()),
        ends::CHANGED,
    )
}

/// So many steps are noted by one statement. Each has a setting for its time until then, and before 16 the
/// server sorts all settings whenever it meets a new name (`add_guc_variable`, guc.c).
const NOTED: usize = 64;

/// The time for which locks may still be held, in milliseconds.
const LEFT: &str = "(extract(epoch FROM current_setting('reconcile.deadline')::timestamptz \
    - clock_timestamp()) * 1000)::int8";

/// Gives the next statement the time that is left, and notes when the step at a place of its group begins.
///
/// A transaction whose time is over gets a last millisecond, which ends it (`query_canceled`), or does not,
/// and then [`over`] does before the COMMIT. A block would end it at once, but each costs three times as
/// much while others wait (measured on 18: 200 and 65 µs).
fn budget(message: &mut Message, bounded: bool, step: Option<usize>) {
    let bound = format!("set_config('statement_timeout', greatest({LEFT}, 1)::text, true)");
    let note = step
        .map(|at| format!("set_config('reconcile.begins_{at}', clock_timestamp()::text, true)"));
    let what: Vec<String> = bounded.then_some(bound).into_iter().chain(note).collect();
    if !what.is_empty() {
        message.push(format!("SELECT {}", what.join(", ")));
    }
}

/// Ends a transaction that has held its locks for longer than it may; its COMMIT has the time that is left.
fn over() -> String {
    format!(
        "DECLARE remaining int8 := {LEFT}; BEGIN IF remaining < 1 THEN RAISE EXCEPTION USING \
         ERRCODE = '{}', MESSAGE = 'the locks were held for too long'; END IF; \
         PERFORM set_config('statement_timeout', remaining::text, true); END",
        ends::TOO_LONG
    )
}

/// A scalar query as text, whatever the type of its result.
fn as_text(query: &str) -> String {
    format!("SELECT (\n{query}\n)::text")
}

fn proof_setting(step: usize, at: usize) -> String {
    format!("reconcile.proof_{step}_{at}")
}

/// For a setting that is in milliseconds.
fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}

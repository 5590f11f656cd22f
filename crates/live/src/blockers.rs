//! Who stands in the way: the holders of locks that conflict with ours.
//!
//! Invariant: nothing here waits for a lock, and an own transaction is never named as a blocker.

use std::fmt;
use std::time::Duration;

use reconcile_sql::lex::{Token, TokenKind, tokens};
use reconcile_sql::{LockLevel, QName, quote_literal};

use crate::connect::Session;
use crate::error::Error;
use crate::rows::TextRow;

/// A transaction that holds a lock, or waits for it in front of us.
#[derive(Debug, Clone, PartialEq)]
pub struct Blocker {
    /// Its process; none for a prepared transaction, which no process holds.
    pub pid: Option<i32>,
    /// Its role, if it has one: the server's own workers have none.
    pub role: Option<String>,
    /// What it calls itself; the identifier of a prepared transaction.
    pub application: Option<String>,
    /// `active`, `idle in transaction`, `prepared`, …; none if the role may not see it.
    pub state: Option<String>,
    /// How long its transaction has been open; none if the role may not see it.
    pub xact_age: Option<Duration>,
    /// What it runs or ran last; none if there is nothing, or the role may not see it.
    pub query: Option<String>,
    /// The role may not see what others run.
    pub hidden: bool,
    /// The mode of its lock.
    pub mode: LockLevel,
    /// The relation that is locked.
    pub relation: QName,
    /// It does not hold the lock, it waits for it before us.
    pub waiting: bool,
}

impl Blocker {
    /// Whether it is an autovacuum that does not give way to others, as far as the role may see it.
    pub fn prevents_wraparound(&self) -> bool {
        self.role.is_none() && self.query.as_ref().is_some_and(|q| q.ends_with(WRAPAROUND))
    }
}

/// What an autovacuum says that does not give way (`autovac_report_activity` in autovacuum.c).
pub(crate) const WRAPAROUND: &str = "(to prevent wraparound)";

impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pid {
            Some(pid) => write!(f, "process {pid}")?,
            None => f.write_str("a prepared transaction")?,
        }
        if let Some(role) = &self.role {
            write!(f, " of {role}")?;
        }
        if let Some(application) = self.application.as_ref().filter(|a| !a.is_empty()) {
            write!(f, " ({application})")?;
        }
        let verb = if self.waiting { "waits for" } else { "holds" };
        write!(f, " {verb} {} on {}", self.mode, self.relation)?;
        if let Some(state) = &self.state {
            write!(f, ", {state}")?;
        }
        if let Some(age) = self.xact_age {
            write!(f, " for {} s", age.as_secs())?;
        }
        match &self.query {
            Some(query) => {
                let line = without_literals(query);
                let short: String = line.chars().take(120).collect();
                let more = if short.len() < line.len() { "…" } else { "" };
                write!(f, ": {short}{more}")?;
                if self.prevents_wraparound() {
                    f.write_str(", which may not be put off")?;
                }
                Ok(())
            }
            None if self.hidden => f.write_str("; what it runs is hidden: needs pg_read_all_stats"),
            None => Ok(()),
        }
    }
}

/// A statement in one line, its string literals left out: one of them may be a password.
fn without_literals(query: &str) -> String {
    let shown = |token: Token<'_>| match token.kind {
        TokenKind::Text => "'…'".to_owned(),
        TokenKind::Space => " ".to_owned(),
        _ => token.text.to_owned(),
    };
    let line: String = tokens(query).into_iter().map(shown).collect();
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// pg_locks' word for a mode (`src/backend/storage/lmgr/lock.c`, `lock_mode_names`).
fn mode_name(level: LockLevel) -> &'static str {
    match level {
        LockLevel::AccessShare => "AccessShareLock",
        LockLevel::RowShare => "RowShareLock",
        LockLevel::RowExclusive => "RowExclusiveLock",
        LockLevel::ShareUpdateExclusive => "ShareUpdateExclusiveLock",
        LockLevel::Share => "ShareLock",
        LockLevel::ShareRowExclusive => "ShareRowExclusiveLock",
        LockLevel::Exclusive => "ExclusiveLock",
        LockLevel::AccessExclusive => "AccessExclusiveLock",
    }
}

const LEVELS: [LockLevel; 8] = [
    LockLevel::AccessShare,
    LockLevel::RowShare,
    LockLevel::RowExclusive,
    LockLevel::ShareUpdateExclusive,
    LockLevel::Share,
    LockLevel::ShareRowExclusive,
    LockLevel::Exclusive,
    LockLevel::AccessExclusive,
];

/// The modes that a mode conflicts with (`LockConflicts` in lock.c; "Conflicting Lock Modes" in
/// the documentation's chapter 13.3).
fn conflicts(level: LockLevel) -> &'static [LockLevel] {
    match level {
        LockLevel::AccessShare => &LEVELS[7..],
        LockLevel::RowShare => &LEVELS[6..],
        LockLevel::RowExclusive => &LEVELS[4..],
        LockLevel::ShareUpdateExclusive => &LEVELS[3..],
        LockLevel::Share => &[
            LockLevel::RowExclusive,
            LockLevel::ShareUpdateExclusive,
            LockLevel::ShareRowExclusive,
            LockLevel::Exclusive,
            LockLevel::AccessExclusive,
        ],
        LockLevel::ShareRowExclusive => &LEVELS[2..],
        LockLevel::Exclusive => &LEVELS[1..],
        LockLevel::AccessExclusive => &LEVELS,
    }
}

/// Who holds locks on these relations that conflict with the modes in which we want them, or
/// waits for such a lock; `ours` are processes that are left out, besides the asking one.
///
/// Ask on a second connection while the first waits, or afterwards on the same one. The order is
/// by relation, holders first, oldest transaction first.
///
/// # Errors
/// If the server cannot be asked.
pub async fn blockers(
    session: &mut Session,
    relations: &[(QName, LockLevel)],
    ours: &[i32],
) -> Result<Vec<Blocker>, Error> {
    if relations.is_empty() {
        return Ok(Vec::new());
    }
    let wanted: Vec<String> = relations
        .iter()
        .map(|(relation, level)| {
            let modes: Vec<String> =
                conflicts(*level).iter().map(|l| format!("'{}'", mode_name(*l))).collect();
            format!(
                "({}, {}, ARRAY[{}])",
                quote_literal(&relation.namespace),
                quote_literal(&relation.name),
                modes.join(", ")
            )
        })
        .collect();
    let from = format!(
        "(VALUES {}) AS w(namespace, name, modes) JOIN pg_catalog.pg_namespace n ON n.nspname = w.namespace \
         JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.name \
         JOIN pg_catalog.pg_locks l ON l.relation = c.oid AND l.mode = ANY (w.modes)",
        wanted.join(", ")
    );
    look(session, &from, ours).await
}

/// Who holds a lock on any user's relation that keeps others from reading its definition.
pub(crate) async fn blockers_of_readers(session: &mut Session) -> Result<Vec<Blocker>, Error> {
    let from = "pg_catalog.pg_locks l JOIN pg_catalog.pg_class c ON c.oid = l.relation \
                JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
                AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND l.mode = 'AccessExclusiveLock' \
                AND n.nspname !~ '^pg_' AND l.granted";
    look(session, from, &[]).await
}

/// The transactions behind `from`, which joins `l` (pg_locks), `c` (pg_class) and `n` (pg_namespace).
pub(crate) async fn look(
    session: &mut Session,
    from: &str,
    ours: &[i32],
) -> Result<Vec<Blocker>, Error> {
    let ours: String = ours.iter().map(|pid| format!(", {pid}")).collect();
    let sql = format!(
        "SELECT DISTINCT n.nspname, c.relname, NOT l.granted AS waiting, a.xact_start, l.pid, l.mode, \
         coalesce(a.usename, p.owner) AS role, coalesce(p.gid, a.application_name) AS application, \
         CASE WHEN p.gid IS NOT NULL THEN 'prepared' ELSE a.state END AS state, \
         (extract(epoch FROM pg_catalog.clock_timestamp() - coalesce(a.xact_start, p.prepared)) * 1000)::int8 AS age, a.query \
         FROM {from} \
         LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid \
         LEFT JOIN pg_catalog.pg_prepared_xacts p ON l.pid IS NULL AND l.virtualtransaction = '-1/' || p.transaction::text \
         WHERE l.locktype = 'relation' AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid() \
         AND (l.pid IS NULL OR l.pid NOT IN (0{ours})) AND a.leader_pid IS NULL \
         AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()) \
         ORDER BY n.nspname, c.relname, waiting, a.xact_start NULLS FIRST, l.pid, l.mode"
    );
    let rows = session.send(&sql).await?;
    Ok(rows.iter().filter_map(read).collect())
}

fn read(row: &TextRow) -> Option<Blocker> {
    let text = |column: &str| row.get(column).map(str::to_owned);
    let mode = row.get("mode")?;
    let query = text("query").filter(|q| !q.is_empty());
    let hidden = query.as_deref() == Some("<insufficient privilege>");
    Some(Blocker {
        pid: row.get("pid").and_then(|pid| pid.parse().ok()),
        role: text("role"),
        application: text("application"),
        state: text("state"),
        xact_age: row.get("age").and_then(|age| age.parse().ok()).map(Duration::from_millis),
        query: query.filter(|_| !hidden),
        hidden,
        mode: LEVELS.into_iter().find(|level| mode_name(*level) == mode)?,
        relation: QName::new(row.get("nspname")?, row.get("relname")?),
        waiting: row.get("waiting") == Some("t"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_not_shown() {
        let sql = "ALTER ROLE x\n  PASSWORD 'se''cret' /* 'also' */ VALID UNTIL $t$2030$t$";
        assert_eq!(without_literals(sql), "ALTER ROLE x PASSWORD '…' VALID UNTIL '…'");
    }

    #[test]
    fn conflicts_are_mutual() {
        for left in LEVELS {
            for right in LEVELS {
                assert_eq!(
                    conflicts(left).contains(&right),
                    conflicts(right).contains(&left),
                    "{left} {right}"
                );
            }
        }
        assert!(!conflicts(LockLevel::Share).contains(&LockLevel::Share));
        assert!(
            conflicts(LockLevel::ShareUpdateExclusive).contains(&LockLevel::ShareUpdateExclusive)
        );
    }
}

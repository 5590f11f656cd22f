//! Looks around: one query for all that work in pieces has to be considerate of.
//!
//! Invariant: nothing is waited for and nothing needs a privilege. What the role may not see is
//! missing, and counts as if it were well.

use std::time::Duration;

use reconcile_sql::{QName, quote_literal};

use super::super::{Applying, Cause};
use super::throttle::{Sight, Slot, Standby};
use crate::blockers::WRAPAROUND;
use crate::error::Error;
use crate::rows::TextRow;

impl Applying<'_> {
    /// What the server shows of those whom the work on a table could harm.
    pub(super) async fn sight(&mut self, relation: &QName) -> Result<Sight, Cause> {
        match self.session.send(&query(relation)).await {
            Ok(rows) => Ok(read(&rows)),
            // Somebody took the right to look away from everybody.
            Err(Error::Server(server)) if server.sqlstate == "42501" => Ok(Sight::default()),
            Err(Error::Lost { reason, .. }) => Err(self.lost(reason, None).await),
            Err(error) => Err(Cause::Connection(error)),
        }
    }
}

/// An own worker of the server has no role, whoever asks; what it does is hidden from most. It is an
/// autovacuum that may not be put off if it says so, or if the table has reached the age at which
/// it is one (`autovacuum_freeze_max_age`).
fn query(relation: &QName) -> String {
    let relation = quote_literal(&relation.to_string());
    format!(
        "WITH t AS (SELECT {relation}::pg_catalog.regclass::oid AS oid), \
         log AS (SELECT pg_catalog.pg_current_wal_lsn() AS now) \
         SELECT 'end' AS what, NULL::text AS name, NULL::text AS word, \
         (log.now - '0/0'::pg_lsn)::int8 AS a, NULL::int8 AS b, NULL::int8 AS c, NULL::bool AS yes FROM log \
         UNION ALL SELECT 'standby', coalesce(nullif(application_name, ''), host(client_addr), 'process ' || pid), \
         state, (flush_lsn - '0/0'::pg_lsn)::int8, (replay_lsn - '0/0'::pg_lsn)::int8, \
         (extract(epoch FROM greatest(flush_lag, replay_lag)) * 1000)::int8, NULL \
         FROM pg_catalog.pg_stat_replication WHERE state IS DISTINCT FROM 'backup' \
         UNION ALL SELECT 'slot', slot_name::text, coalesce(wal_status, ''), \
         greatest(log.now - restart_lsn, 0)::int8, greatest(safe_wal_size, 0), \
         nullif(pg_catalog.pg_size_bytes(pg_catalog.current_setting('max_slot_wal_keep_size')), -1), active \
         FROM pg_catalog.pg_replication_slots, log WHERE restart_lsn IS NOT NULL OR wal_status = 'lost' \
         UNION ALL SELECT 'wraparound', NULL, NULL, l.pid, NULL, NULL, NULL \
         FROM t JOIN pg_catalog.pg_locks l ON l.relation = t.oid AND l.mode = 'ShareUpdateExclusiveLock' AND l.granted \
         AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()) \
         JOIN pg_catalog.pg_class c ON c.oid = t.oid \
         JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid AND a.usename IS NULL \
         WHERE a.query LIKE '%{WRAPAROUND}' \
         OR a.query = '<insufficient privilege>' \
         AND pg_catalog.age(c.relfrozenxid) > pg_catalog.current_setting('autovacuum_freeze_max_age')::int8 \
         UNION ALL SELECT 'waiting', NULL, NULL, count(DISTINCT l.pid), NULL, NULL, NULL \
         FROM t JOIN pg_catalog.pg_locks l ON l.relation = t.oid AND NOT l.granted"
    )
}

fn read(rows: &[TextRow]) -> Sight {
    let mut out = Sight::default();
    for row in rows {
        let text = |column: &str| row.get(column).unwrap_or_default().to_owned();
        let number = |column: &str| row.get(column).and_then(|n| n.parse::<u64>().ok());
        match row.get("what") {
            Some("end") => out.end = number("a").unwrap_or(0),
            Some("standby") => out.standbys.push(Standby {
                name: text("name"),
                flushed: number("a"),
                applied: number("b"),
                lag: number("c").map(Duration::from_millis),
            }),
            Some("slot") => out.slots.push(Slot {
                name: text("name"),
                active: row.get("yes") == Some("t"),
                status: text("word"),
                retained: number("a").unwrap_or(0),
                left: number("b"),
                limit: number("c"),
            }),
            Some("wraparound") => {
                out.wraparound = row.get("a").and_then(|pid| pid.parse().ok());
            }
            Some("waiting") => out.waiting = number("a").unwrap_or(0),
            _ => {}
        }
    }
    out.standbys.sort_by(|a, b| a.name.cmp(&b.name));
    out.slots.sort_by(|a, b| a.name.cmp(&b.name));
    out
}

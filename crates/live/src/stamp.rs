//! The stamp: the revision that a migration tool notes in the database, moved along with the
//! definitions that it stands for.
//!
//! Invariant: it moves only from the revision that was named, in the transaction of the last step.

use reconcile_sql::{QName, quote_literal};
use sea_query::{Expr, ExprTrait, IntoIden, PostgresQueryBuilder, Query};

use crate::connect::Session;
use crate::error::Error;

/// The SQLSTATE with which a transaction ends whose stamp is not what it was.
pub(crate) const MOVED: &str = "RC006";

/// Where a migration tool's revision moves from and to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// The revision that has to be there.
    pub from: String,
    /// The revision that shall be there.
    pub to: String,
}

/// Where the revision stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamped {
    /// The table that holds it.
    pub table: QName,
    /// Whether it has been moved before.
    pub already: bool,
}

/// Why a stamp cannot be moved.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StampError {
    /// A text that names no stamp.
    #[error("`{text}` is no stamp: write alembic=OLD..NEW, for instance alembic=001_initial..004")]
    Malformed {
        /// The text.
        text: String,
    },
    /// A tool that is not known.
    #[error("the revisions of `{tool}` are not known here, only those of `alembic`")]
    UnknownTool {
        /// Its name.
        tool: String,
    },
    /// The tool's table is not there.
    #[error("there is no table alembic_version in the search_path, so nothing holds a revision")]
    NoTable,
    /// The role may not move it.
    #[error("{role} may not move the revision: GRANT SELECT, UPDATE ON {table} TO {role}")]
    NoPrivilege {
        /// The table.
        table: QName,
        /// The role in force, as SQL.
        role: String,
    },
    /// The table holds no revision, or several.
    #[error(
        "{table} holds {}, and a stamp moves exactly one: it was to be {expected}",
        if found.is_empty() { "no revision".to_owned() } else { format!("{} revisions ({})", found.len(), found.join(", ")) }
    )]
    NotOne {
        /// The table.
        table: QName,
        /// What it holds.
        found: Vec<String>,
        /// The revision that was named.
        expected: String,
    },
    /// The table holds another revision.
    #[error(
        "{table} holds revision {found}, which is neither {expected} nor {wanted}: the database is \
         not where the stamp says that it is"
    )]
    Other {
        /// The table.
        table: QName,
        /// What it holds.
        found: String,
        /// The revision that was named.
        expected: String,
        /// The revision that it should get.
        wanted: String,
    },
    /// The new revision has no room.
    #[error("{table} holds revisions of at most {length} characters, and {wanted} is longer")]
    TooLong {
        /// The table.
        table: QName,
        /// What fits.
        length: usize,
        /// The revision that it should get.
        wanted: String,
    },
    /// The server or the connection.
    #[error(transparent)]
    Server(#[from] Error),
}

impl Stamp {
    /// Reads `alembic=OLD..NEW`.
    ///
    /// # Errors
    /// If the text is something else.
    pub fn parse(text: &str) -> Result<Self, StampError> {
        let malformed = || StampError::Malformed { text: text.to_owned() };
        let (tool, revisions) = text.split_once('=').ok_or_else(malformed)?;
        if tool.trim() != "alembic" {
            return Err(StampError::UnknownTool { tool: tool.trim().to_owned() });
        }
        let (from, to) = revisions.split_once("..").ok_or_else(malformed)?;
        let (from, to) = (from.trim(), to.trim());
        let odd = |c: char| c.is_whitespace() || c.is_control() || c == ',';
        if from.is_empty() || to.is_empty() || from.contains(odd) || to.contains(odd) {
            return Err(malformed());
        }
        Ok(Self { from: from.to_owned(), to: to.to_owned() })
    }

    /// The way back.
    pub fn reversed(&self) -> Self {
        Self { from: self.to.clone(), to: self.from.clone() }
    }

    /// Finds out where the revision stands; the table is looked for as the tool does, in the
    /// session's search_path.
    ///
    /// # Errors
    /// If it stands neither where the stamp moves from nor where it moves to, or cannot be moved.
    pub async fn look(&self, session: &mut Session) -> Result<Stamped, StampError> {
        let sql = "SELECT n.nspname, c.relname, \
             a.atttypmod AS typmod, pg_catalog.quote_ident(current_user) AS role, \
             pg_catalog.has_table_privilege(c.oid, 'SELECT') \
             AND pg_catalog.has_table_privilege(c.oid, 'UPDATE') AS allowed \
             FROM pg_catalog.pg_class c \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attname = 'version_num' \
             WHERE c.oid = pg_catalog.to_regclass('alembic_version')";
        let rows = session.send(sql).await?;
        let row = rows.first().ok_or(StampError::NoTable)?;
        let text = |column: &str| row.get(column).unwrap_or_default();
        let table = QName::new(text("nspname"), text("relname"));
        if text("allowed") != "t" {
            return Err(StampError::NoPrivilege { table, role: text("role").to_owned() });
        }
        // A varchar's typmod is its length and the length of a header (`VARHDRSZ`).
        let length: Option<usize> =
            text("typmod").parse::<i32>().ok().and_then(|n| usize::try_from(n - 4).ok());
        let sql = format!("SELECT version_num FROM {table} ORDER BY version_num");
        let rows = session.send(&sql).await?;
        let found: Vec<String> =
            rows.iter().map(|row| row.at(0).unwrap_or_default().to_owned()).collect();
        let [found] = found.as_slice() else {
            return Err(StampError::NotOne { table, found, expected: self.from.clone() });
        };
        if *found == self.to {
            return Ok(Stamped { table, already: true });
        }
        if *found != self.from {
            return Err(StampError::Other {
                table,
                found: found.clone(),
                expected: self.from.clone(),
                wanted: self.to.clone(),
            });
        }
        match length {
            Some(length) if self.to.chars().count() > length => {
                Err(StampError::TooLong { table, length, wanted: self.to.clone() })
            }
            _ => Ok(Stamped { table, already: false }),
        }
    }

    /// The statements that move the revision, for a transaction; they fail if it is not there.
    pub(crate) fn sql(&self, table: &QName) -> String {
        let value = |text: &str| Expr::cust(quote_literal(text));
        let update = Query::update()
            .table((table.namespace.clone().into_iden(), table.name.clone().into_iden()))
            .value("version_num", value(&self.to))
            .and_where(Expr::col("version_num").eq(value(&self.from)))
            .to_string(PostgresQueryBuilder);
        let body = format!(
            " DECLARE moved bigint; BEGIN {update}; GET DIAGNOSTICS moved = ROW_COUNT; \
             IF moved <> 1 THEN RAISE EXCEPTION USING ERRCODE = '{MOVED}', \
             MESSAGE = 'the revision is not there any more'; END IF; END "
        );
        format!("DO {}", reconcile_sql::literal::dollar_quote(&body))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn reads_what_is_documented_and_nothing_else() {
        let stamp = Stamp::parse("alembic=001_fix_priority_schema..004").unwrap();
        assert_eq!((stamp.from.as_str(), stamp.to.as_str()), ("001_fix_priority_schema", "004"));
        assert_eq!(stamp.reversed().to, "001_fix_priority_schema");
        for wrong in [
            "",
            "alembic",
            "alembic=",
            "alembic=1",
            "alembic=..2",
            "alembic=1..",
            "alembic=1 ..2,3",
        ] {
            assert!(matches!(Stamp::parse(wrong), Err(StampError::Malformed { .. })), "{wrong}");
        }
        let error = Stamp::parse("flyway=1..2").unwrap_err();
        assert!(matches!(error, StampError::UnknownTool { .. }), "{error}");
    }

    #[test]
    fn a_revision_cannot_leave_its_literal() {
        let stamp = Stamp { from: "a'b\\".to_owned(), to: "$rc$".to_owned() };
        let sql = stamp.sql(&QName::new("public", "alembic_version"));
        assert!(sql.contains("E'a''b\\\\'"), "{sql}");
        assert!(sql.starts_with("DO $rc_$"), "{sql}");
    }
}

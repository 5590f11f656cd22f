//! Finds the journal, or makes it.

use reconcile_sql::{quote_ident, quote_literal};

use super::tables::{TABLES, VERSION};
use super::{Journal, JournalError};
use crate::connect::Session;

/// How a journal stands that may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// Its tables are there.
    There,
    /// They are not, and the role may make them; `namespace` if that has to be made as well.
    CanBeMade {
        /// Whether the namespace is missing too.
        namespace: bool,
    },
}

impl Journal {
    /// Finds out whether the journal is there or could be made, without making it.
    ///
    /// # Errors
    /// If the role in force may neither use nor make it, with the statement that helps.
    pub async fn readiness(&self, session: &mut Session) -> Result<Readiness, JournalError> {
        let rows = session.send(&self.look()).await?;
        let unreadable = || self.unreadable("the server did not say whether it is there");
        let row = rows.first().ok_or_else(unreadable)?;
        let yes = |column: &str| row.get(column) == Some("t");
        let role = quote_ident(row.get("role").unwrap_or_default());
        let schema = quote_ident(&self.schema);
        if !yes("namespace") {
            if !yes("may_make_namespace") {
                let database = quote_ident(row.get("database").unwrap_or_default());
                return Err(JournalError::NoNamespace { schema, database, role });
            }
            return Ok(Readiness::CanBeMade { namespace: true });
        }
        let lacking = |grant: String| JournalError::NoPrivilege {
            schema: schema.clone(),
            role: role.clone(),
            grant,
        };
        let there = row.get("tables").unwrap_or_default();
        if there == "0" {
            if let Some(relation) = row.get("foreign_relation") {
                return Err(JournalError::Occupied { schema, relation: relation.to_owned() });
            }
            if !yes("usage") || !yes("create") {
                return Err(lacking(format!("GRANT USAGE, CREATE ON SCHEMA {schema} TO {role}")));
            }
            return Ok(Readiness::CanBeMade { namespace: false });
        }
        if there != TABLES.len().to_string() {
            return Err(self.unreadable("some of its tables are missing"));
        }
        if !yes("usage") || !yes("may_write") {
            return Err(lacking(format!(
                "GRANT USAGE ON SCHEMA {schema} TO {role}; GRANT SELECT, INSERT, UPDATE ON ALL \
                 TABLES IN SCHEMA {schema} TO {role}"
            )));
        }
        self.check_version(session).await?;
        Ok(Readiness::There)
    }

    /// Makes the journal if it is not there.
    ///
    /// # Errors
    /// If the role in force may neither use nor make it, with the statement that helps.
    pub async fn open(&self, session: &mut Session) -> Result<(), JournalError> {
        let sql = match self.readiness(session).await? {
            Readiness::CanBeMade { namespace } => self.create_tables(namespace),
            Readiness::There if self.check_version(session).await? < VERSION => {
                self.migrate_tables()
            }
            Readiness::There => return Ok(()),
        };
        if let Err(error) = session.send(&sql).await {
            session.rollback().await?;
            return Err(error.into());
        }
        Ok(())
    }

    /// Whether the journal is there and may be read.
    ///
    /// # Errors
    /// If it is there and the role may not read it, or it is another program's.
    pub async fn exists(&self, session: &mut Session) -> Result<bool, JournalError> {
        let rows = session.send(&self.look()).await?;
        let Some(row) = rows.first() else { return Ok(false) };
        if row.get("tables") != Some(TABLES.len().to_string().as_str()) {
            return Ok(false);
        }
        if row.get("usage") != Some("t") || row.get("may_read") != Some("t") {
            let schema = quote_ident(&self.schema);
            let role = quote_ident(row.get("role").unwrap_or_default());
            let grant = format!(
                "GRANT USAGE ON SCHEMA {schema} TO {role}; GRANT SELECT ON ALL TABLES IN SCHEMA \
                 {schema} TO {role}"
            );
            return Err(JournalError::NoPrivilege { schema, role, grant });
        }
        self.check_version(session).await?;
        Ok(true)
    }

    async fn check_version(&self, session: &mut Session) -> Result<u32, JournalError> {
        let sql = format!("SELECT max(version) AS version FROM {}", self.sql_name("version"));
        let rows = session.send(&sql).await?;
        let version = rows.first().and_then(|row| row.get("version")).and_then(|v| v.parse().ok());
        match version {
            Some(found) if found > VERSION => {
                let schema = quote_ident(&self.schema);
                Err(JournalError::Newer { schema, found, known: VERSION })
            }
            Some(found) => Ok(found),
            None => Err(self.unreadable("its version is missing")),
        }
    }

    pub(crate) fn without_lease_row(&self) -> JournalError {
        self.unreadable("the row of the lease is missing")
    }

    pub(super) fn unreadable(&self, reason: impl Into<String>) -> JournalError {
        JournalError::Unreadable { schema: quote_ident(&self.schema), reason: reason.into() }
    }

    fn look(&self) -> String {
        let tables = TABLES.map(quote_literal).join(", ");
        let privilege = |privilege: &str| {
            format!(
                "(SELECT bool_and(has_table_privilege(c.oid, '{privilege}')) FROM pg_class c \
                 WHERE c.relnamespace = n.oid AND c.relkind = 'r' AND c.relname IN ({tables}))"
            )
        };
        format!(
            "SELECT n.oid IS NOT NULL AS namespace, current_user AS role, \
             current_database() AS database, \
             has_database_privilege(current_database(), 'CREATE') AS may_make_namespace, \
             has_schema_privilege(n.oid, 'USAGE') AS usage, \
             has_schema_privilege(n.oid, 'CREATE') AS create, \
             (SELECT count(*) FROM pg_class c WHERE c.relnamespace = n.oid AND c.relkind = 'r' \
             AND c.relname IN ({tables})) AS tables, \
             (SELECT min(c.relname::text) FROM pg_class c WHERE c.relnamespace = n.oid) \
             AS foreign_relation, \
             {} AND {} AND {} AS may_write, {} AS may_read \
             FROM (SELECT {}::text AS name) w LEFT JOIN pg_namespace n ON n.nspname = w.name",
            privilege("SELECT"),
            privilege("INSERT"),
            privilege("UPDATE"),
            privilege("SELECT"),
            quote_literal(&self.schema),
        )
    }
}

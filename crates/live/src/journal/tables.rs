//! The tables of the journal.

use reconcile_sql::quote_ident;
use sea_query::{
    ColumnDef, DynIden, Expr, ForeignKey, Index, IntoIden, PostgresQueryBuilder, Table,
    TableCreateStatement,
};

use super::Journal;

/// The version of these tables; a release that changes them migrates what it finds.
pub(super) const VERSION: u32 = 3;

/// The names of the tables.
pub(super) const TABLES: [&str; 5] = ["version", "run", "step", "saved", "lease"];

impl Journal {
    /// A table of the journal for a statement builder.
    pub(crate) fn table(&self, name: &'static str) -> (DynIden, DynIden) {
        (self.schema.clone().into_iden(), name.into_iden())
    }

    /// A table of the journal as SQL.
    pub(crate) fn sql_name(&self, name: &str) -> String {
        format!("{}.{}", quote_ident(&self.schema), quote_ident(name))
    }

    /// The statements that make the tables, all or nothing.
    pub(super) fn create_tables(&self, make_namespace: bool) -> String {
        let mut sql = vec!["BEGIN".to_owned(), "SET LOCAL lock_timeout = '10s'".to_owned()];
        if make_namespace {
            sql.push(format!("CREATE SCHEMA {}", quote_ident(&self.schema)));
        }
        let builders = [self.version_table(), self.run_table(), self.step_table()];
        sql.extend(builders.iter().map(|table| table.to_string(PostgresQueryBuilder)));
        let builders = [self.saved_table(), self.lease_table()];
        sql.extend(builders.iter().map(|table| table.to_string(PostgresQueryBuilder)));
        sql.push(format!("INSERT INTO {} VALUES ({VERSION})", self.sql_name("version")));
        sql.push(format!("INSERT INTO {} (id, fence) VALUES (1, 0)", self.sql_name("lease")));
        sql.push("COMMIT".to_owned());
        sql.join(";\n")
    }

    /// The statements that bring the tables of an earlier release up to date, all or nothing.
    pub(super) fn migrate_tables(&self) -> String {
        let columns = [
            "pieces_of text",
            "pieces_done bigint",
            "pieces bigint",
            "waits text",
            "waits_since timestamptz",
        ];
        let add = columns.map(|column| format!("ADD COLUMN IF NOT EXISTS {column}")).join(", ");
        format!(
            "BEGIN; SET LOCAL lock_timeout = '10s'; ALTER TABLE {} {add}; \
             ALTER TABLE {} ADD COLUMN IF NOT EXISTS ends boolean; UPDATE {} SET version = {VERSION}; COMMIT",
            self.sql_name("step"),
            self.sql_name("run"),
            self.sql_name("version")
        )
    }

    fn version_table(&self) -> TableCreateStatement {
        Table::create().table(self.table("version")).col(required("version").integer()).take()
    }

    fn run_table(&self) -> TableCreateStatement {
        Table::create()
            .table(self.table("run"))
            .col(required("id").big_integer().primary_key())
            .col(required("state").text())
            .col(required("started").timestamp_with_time_zone())
            .col(optional("finished").timestamp_with_time_zone())
            .col(required("role").text())
            .col(required("login").text())
            .col(required("client").text())
            .col(required("application").text())
            .col(required("tool").text())
            .col(required("plan_digest").text())
            .col(required("fingerprint").text())
            .col(required("model_digest").text())
            .col(optional("stamp_from").text())
            .col(optional("stamp_to").text())
            .col(optional("undoes").big_integer())
            .col(optional("ends").boolean())
            .col(optional("continues").big_integer())
            .col(optional("error").text())
            .take()
    }

    fn step_table(&self) -> TableCreateStatement {
        Table::create()
            .table(self.table("step"))
            .col(required("run").big_integer())
            .col(required("number").integer())
            .col(required("batch").integer())
            .col(required("summary").text())
            .col(required("sql").text())
            .col(required("state").text())
            .col(optional("started").timestamp_with_time_zone())
            .col(optional("finished").timestamp_with_time_zone())
            .col(optional("lock_wait_ms").big_integer())
            .col(optional("hold_ms").big_integer())
            .col(optional("pieces_of").text())
            .col(optional("pieces_done").big_integer())
            .col(optional("pieces").big_integer())
            .col(optional("waits").text())
            .col(optional("waits_since").timestamp_with_time_zone())
            .primary_key(Index::create().col("run").col("number"))
            .foreign_key(
                ForeignKey::create().from(self.table("step"), "run").to(self.table("run"), "id"),
            )
            .take()
    }

    fn saved_table(&self) -> TableCreateStatement {
        Table::create()
            .table(self.table("saved"))
            .col(required("run").big_integer())
            .col(required("number").integer())
            .col(required("address").text())
            .col(required("place").json())
            .col(optional("parent").json())
            .col(required("depends_on").json())
            .col(optional("definition").json())
            .primary_key(Index::create().col("run").col("number"))
            .foreign_key(
                ForeignKey::create().from(self.table("saved"), "run").to(self.table("run"), "id"),
            )
            .take()
    }

    fn lease_table(&self) -> TableCreateStatement {
        Table::create()
            .table(self.table("lease"))
            .col(required("id").integer().primary_key().check(Expr::cust("id = 1")))
            .col(required("fence").big_integer())
            .col(optional("holder").text())
            .col(optional("pid").integer())
            .col(optional("since").timestamp_with_time_zone())
            .take()
    }
}

fn required(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).not_null().take()
}

fn optional(name: &'static str) -> ColumnDef {
    ColumnDef::new(name)
}

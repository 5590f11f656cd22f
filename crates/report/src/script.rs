//! A plan as a script for psql.

use std::fmt::Write as _;

use reconcile_plan::{Batch, Step};
use reconcile_sql::literal::dollar_quote;
use reconcile_sql::{quote_ident, quote_literal, search_path};

use crate::preview::Preview;
use crate::steps::{lock_words, stall, step_locks, work};
use crate::style::visible;

/// The script; it stops at the first error, and a plan with refusals does nothing.
///
/// `settings` are what the texts of the steps are read under, a name and a value as SQL each.
pub fn script(of: &Preview<'_>, settings: &[(&str, &str)]) -> String {
    let plan = of.plan;
    let mut out = String::new();
    comment(&mut out, &format!("Plan for {} (PostgreSQL {})", of.target, of.version));
    comment(&mut out, &format!("Model: {}", of.model.join(", ")));
    comment(&mut out, &format!("Digest: {}", plan.digest()));
    comment(
        &mut out,
        "For psql. `reconcile apply` does more: it checks the rows first, keeps a journal for",
    );
    comment(&mut out, "rollback, retries when a lock is not had in time, and proves the result.");
    for warning in &plan.warnings {
        let about = warning.address.as_ref().map(|a| format!("{a}: ")).unwrap_or_default();
        comment(&mut out, &format!("Warning: {about}{}", warning.text));
    }
    out.push_str("\\set ON_ERROR_STOP on\n");
    if !plan.refusals.is_empty() {
        out.push('\n');
        for refusal in &plan.refusals {
            comment(&mut out, &format!("Refused: {}: {}", refusal.address, refusal.reason));
        }
        out.push_str(
            "DO $$ BEGIN RAISE EXCEPTION 'this plan has refusals: nothing is done'; END $$;\n",
        );
    }
    if plan.batches.is_empty() {
        comment(&mut out, "Nothing to do.");
        return out;
    }
    let _ = writeln!(out, "SET ROLE {};", quote_ident(of.role));
    for (name, value) in settings {
        let _ = writeln!(out, "SET {name} = {value};");
    }
    let total = plan.batches.iter().filter(|b| b.transaction).count();
    let mut number = 0;
    for batch in &plan.batches {
        out.push('\n');
        if batch.transaction {
            number += 1;
            comment(
                &mut out,
                &format!("Transaction {number} of {total}. Stall: {}.", stall(batch)),
            );
        } else {
            comment(&mut out, &format!("Outside of any transaction. Stall: {}.", stall(batch)));
        }
        for lock in &batch.locks {
            comment(&mut out, &format!("Lock: {}", lock_words(lock)));
        }
        write_batch(&mut out, batch);
    }
    out
}

fn write_batch(out: &mut String, batch: &Batch) {
    let scope = if batch.transaction { "SET LOCAL" } else { "SET" };
    if batch.transaction {
        out.push_str("BEGIN;\n");
    }
    let _ = writeln!(out, "{scope} lock_timeout = '{}ms';", batch.lock_timeout.as_millis());
    let mut home = None;
    for step in &batch.steps {
        out.push('\n');
        let namespace = step.home();
        if home != Some(namespace) {
            home = Some(namespace);
            let _ = writeln!(out, "{scope} search_path = {};", search_path(namespace));
        }
        write_step(out, step);
    }
    if batch.transaction {
        out.push_str("COMMIT;\n");
    }
}

fn write_step(out: &mut String, step: &Step) {
    for (at, line) in step.summary.iter().enumerate() {
        let margin = if at == 0 { format!("{}. ", step.number) } else { "   ".to_owned() };
        comment(out, &format!("{margin}{line}"));
    }
    comment(
        out,
        &format!("   {}; {}", step_locks(&step.locks), work(&step.work, step.size.as_ref())),
    );
    if let Some(why) = &step.irreversible {
        comment(out, &format!("   Cannot be rolled back: {why}"));
    }
    if let Some(loses) = &step.loses {
        comment(out, &format!("   Loses: {loses}"));
    }
    for guard in &step.guards {
        let body = format!(
            " BEGIN IF ({}) <> 0 THEN RAISE EXCEPTION '%', {}; END IF; END ",
            guard.sql,
            quote_literal(&guard.complaint)
        );
        let _ = writeln!(out, "DO {};", dollar_quote(&body));
    }
    // In one piece here; the trigger has to know that nobody writes the rows.
    let replica = step.pieces.as_ref().is_some_and(|pieces| pieces.replica);
    if let Some(pieces) = &step.pieces {
        let _ = writeln!(out, "SET reconcile.backfill = {};", quote_literal(&pieces.setting()));
    }
    if replica {
        let _ = writeln!(out, "SET session_replication_role = replica;");
    }
    let _ = writeln!(out, "{};", step.sql.trim_end());
    if replica {
        let _ = writeln!(out, "RESET session_replication_role;");
    }
    if step.pieces.is_some() {
        let _ = writeln!(out, "RESET reconcile.backfill;");
    }
}

/// Comment lines; a line end in a name must not end the comment.
fn comment(out: &mut String, text: &str) {
    for line in visible(text).lines() {
        let _ = writeln!(out, "{}", format!("-- {line}").trim_end());
    }
}

//! The triggers that would see the rows being carried over.
//!
//! A role that may set `session_replication_role` carries the rows over as a replica: then only triggers fire
//! that are for replicas too, as ours is. Where it may not, or where a trigger is only for replicas, the rows are
//! carried over as anybody writes them, and the triggers that fire by that are named. Rules act by the same
//! settings; one that does rewrites our UPDATE, so there is none that would be right.

use reconcile_catalog::{Address, Object};
use reconcile_sql::lex::{Token, significant};

use crate::Cx;
use crate::table::relation;
use crate::trigger::{Enabled, Trigger};

/// What a trigger is for, as far as it matters here.
pub(super) struct Occasion {
    /// Before the row or the statement, and not after it.
    pub(super) before: bool,
    /// For every UPDATE, and not only for some columns of it.
    pub(super) any_update: bool,
    /// For each statement, and not for each row.
    pub(super) statement: bool,
}

impl Occasion {
    /// Of the statement that makes the trigger.
    pub(super) fn of(trigger: &Trigger) -> Self {
        let tokens = significant(&trigger.definition);
        // Its name may be a word like these.
        let named = tokens.iter().position(|t| t.is("trigger")).map_or(0, |at| at + 2);
        let head = tokens.iter().skip(named).take_while(|t| !t.is("on"));
        let head: Vec<String> = head.filter_map(Token::ident).collect();
        let any_update = head.windows(2).any(|w| w[0] == "update" && w[1] != "of")
            || head.last().is_some_and(|w| w == "update");
        let each = |t: &[Token<'_>]| t[0].is("for") && t[1].is("each") && t[2].is("statement");
        Self {
            before: head.iter().any(|w| w == "before"),
            any_update,
            statement: tokens.windows(3).any(each),
        }
    }
}

/// How the rows of a table are carried over.
#[derive(Default)]
pub(in crate::column) struct Firing<'a> {
    /// As a replica.
    pub(in crate::column) replica: bool,
    /// The triggers that fire for what nobody undoes: after a row, or once a statement.
    pub(in crate::column) beyond: Vec<&'a Object>,
    /// The triggers that fire before a row: what they do to it is undone.
    pub(in crate::column) undone: Vec<&'a Object>,
    /// A rule that acts beside every UPDATE, or in its place.
    pub(in crate::column) rule: Option<&'a str>,
}

impl<'a> Firing<'a> {
    /// For a table.
    pub(in crate::column) fn of(table: &Address, cx: &Cx<'a>) -> Self {
        let all: Vec<(&Object, &Trigger)> =
            cx.live.children(table).filter_map(|o| Some((o, o.get::<Trigger>()?))).collect();
        let only_replicas = all.iter().any(|(_, trigger)| {
            trigger.enabled == Enabled::Replica && Occasion::of(trigger).any_update
        });
        let mut out =
            Self { replica: cx.facts.may_be_replica && !only_replicas, ..Self::default() };
        let rules = cx.facts.update_rules.get(&relation(table));
        let mut acting = rules.into_iter().flatten().filter(|(_, on)| on.fires(out.replica));
        out.rule = acting.next().map(|(name, _)| name.as_str());
        for (object, trigger) in all {
            let occasion = Occasion::of(trigger);
            if !trigger.enabled.fires(out.replica) || !occasion.any_update {
                continue;
            }
            match occasion.before && !occasion.statement {
                true => out.undone.push(object),
                false => out.beyond.push(object),
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_trigger_is_for() {
        let of = |definition: &str| {
            let definition = definition.to_owned();
            let occasion =
                Occasion::of(&Trigger { definition, enabled: Enabled::Origin, inherited: false });
            (occasion.before, occasion.any_update, occasion.statement)
        };
        let call = "EXECUTE FUNCTION public.f()";
        let on = "ON public.\"update\" FOR EACH";
        assert_eq!(
            of(&format!("CREATE TRIGGER a AFTER UPDATE {on} ROW {call}")),
            (false, true, false)
        );
        let some = format!("CREATE TRIGGER a AFTER INSERT OR UPDATE OF x, y {on} ROW {call}");
        assert_eq!(of(&some), (false, false, false));
        let named = format!("CREATE CONSTRAINT TRIGGER before AFTER UPDATE {on} ROW {call}");
        assert_eq!(of(&named), (false, true, false));
        let all =
            format!("CREATE TRIGGER a BEFORE INSERT OR UPDATE OR DELETE {on} STATEMENT {call}");
        assert_eq!(of(&all), (true, true, true));
    }
}

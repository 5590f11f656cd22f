//! The twin of an index: built beside readers and writers, it changes names with the index.

use reconcile_catalog::Object;
use reconcile_sql::QName;
use reconcile_sql::lex::{TokenKind, significant};

use super::super::sql::Manner;
use super::super::{Index, KeyPart, qualified};
use super::actions::{Making, drop_beside, drop_within, rename, roles};
use super::index_of;
use crate::Cx;
use crate::column::online::Loss;
use crate::online::{Doubling, Twin};
use crate::step::{Refusal, Stage};
use crate::table::relation;

/// The twin. One that an interrupted build left is dropped first, and so is one that is another by now.
pub(super) fn twin(object: &Object, doubling: &Doubling<'_>, cx: &Cx<'_>) -> Result<Twin, Refusal> {
    let live = index_of(object)?;
    let double = doubling.double(object, cx)?;
    let address = &double.address;
    let index = Index { clustered: false, replica_identity: false, ..index_of(&double)?.clone() };
    let mut twin = Twin::default();
    let there = cx.afoot.definition::<Index>(address);
    let on = relation(address);
    let making = Making { address, index: &index, name: address.name(), on };
    if there.is_some_and(|there| there.valid && serves(there, &index)) {
        // A kill may have come before them.
        twin.prepare.push(Stage::transaction(making.targets()));
    } else {
        if there.is_some() {
            let summary =
                format!("drop the unfinished index {} of an earlier attempt", address.name());
            twin.prepare.push(drop_beside(address, &qualified(address), summary));
        }
        let mut stages = making.stages(Manner::Beside);
        // What is asked before anything starts cannot be about a column that is not there yet; that the old
        // values are unique the old index says.
        stages.iter_mut().flat_map(|s| &mut s.actions).for_each(|a| a.preflights.clear());
        twin.prepare.extend(stages);
    }
    let spare = doubling.shadow.twin(&format!("{}_spare", object.address.name()));
    let own = |name: &str| QName::new(address.namespace(), name);
    let (first, second) = (object.address.name(), address.name());
    if stays(live, doubling.loss) {
        twin.after.push(rename(&object.address, &own(first), &spare));
        twin.after.push(rename(&object.address, &own(second), first));
        twin.after.push(rename(&object.address, &own(&spare), second));
    } else {
        twin.before.push(drop_within(&object.address, &own(first)));
        twin.after.push(rename(&object.address, &own(second), first));
    }
    twin.after.extend(roles(&object.address, Some(live)));
    Ok(twin)
}

/// Whether an index that is there is the one that is wanted, as far as it can be told from both without asking
/// the server how it spells expressions.
fn serves(there: &Index, wanted: &Index) -> bool {
    there.method == wanted.method
        && there.unique == wanted.unique
        && there.nulls_not_distinct == wanted.nulls_not_distinct
        && there.keys.len() == wanted.keys.len()
        && there.include == wanted.include
        && there.predicate.is_some() == wanted.predicate.is_some()
}

/// Whether an index can stay on the old column, for the way back: a value that comes back may be none, or
/// rounded where that is how the types are. It may neither collide with another one nor fail in an expression.
fn stays(index: &Index, loss: Loss) -> bool {
    let expressions = index.keys.iter().filter_map(|key| match &key.what {
        KeyPart::Column(_) => None,
        KeyPart::Expression(text) => Some(text),
    });
    // One that logical replication goes by needs a column that is never null.
    let free = !index.replica_identity;
    let apart = !index.unique || (loss.is_exact() && !index.nulls_not_distinct);
    free && apart && expressions.chain(&index.predicate).all(|text| never_fails(text))
}

/// Whether an expression has a value whatever the columns have: it compares, and does nothing else. What
/// computes may overflow or divide by zero in the old type, and a function may do anything.
fn never_fails(text: &str) -> bool {
    const WORDS: &[&str] =
        &["and", "or", "not", "is", "in", "any", "all", "array", "distinct", "from"];
    const COMPARE: &[&str] = &["=", "<>", "!=", "<", ">", "<=", ">="];
    let tokens = significant(text);
    tokens.iter().enumerate().all(|(at, token)| {
        let (before, next) = (at.checked_sub(1).map(|i| &tokens[i]), tokens.get(at + 1));
        match token.kind {
            TokenKind::Operator if token.is("::") => {
                // A constant was converted when the index was made; a text has no way to fail.
                let constant = before.is_some_and(|t| t.kind == TokenKind::Text);
                constant || next.is_some_and(|t| t.is("text"))
            }
            TokenKind::Operator => COMPARE.iter().any(|operator| token.is(operator)),
            TokenKind::Word | TokenKind::Quoted => {
                let called = next.is_some_and(|t| t.is("("));
                !called || WORDS.iter().any(|word| token.is(word))
            }
            TokenKind::Space
            | TokenKind::Text
            | TokenKind::Number
            | TokenKind::Punct
            | TokenKind::Parameter => true,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::never_fails;

    #[test]
    fn what_only_compares_never_fails() {
        for text in [
            "(role = 'user'::app.message_role)",
            "((role)::text = ANY (ARRAY['a'::text, 'b'::text]))",
            "((n > 10) AND (tag IS NOT NULL))",
            "\"userId\" IS DISTINCT FROM 'x'::text",
        ] {
            assert!(never_fails(text), "{text}");
        }
        for text in
            ["(1 / price)", "lower(role)", "(n)::integer > 3", "app.f(n) = 1", "(n + 1)", "a || b"]
        {
            assert!(!never_fails(text), "{text}");
        }
    }
}

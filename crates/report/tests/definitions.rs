//! Definition diffs and findings, with both sides from models.
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::BTreeSet;

use reconcile_catalog::{Catalog, Equivalences};
use reconcile_diff::{Difference, compare};
use reconcile_model::Model;
use reconcile_report::{Standing, Style, check_text, definition_diff, findings};

const LIVE: &str = "
namespace: public
enums:
  message_role: [user, tool]
tables:
  messages:
    columns:
      id: {type: bigint, identity: always}
      role: {type: message_role, nullable: false, default: \"'user'\"}
      note: text
    indexes:
      messages_note_idx: {columns: [note]}
";

const DESIRED: &str = "
namespace: public
tables:
  messages:
    comment: One turn
    columns:
      id: {type: bigint, identity: always}
      name: String(100)
      role: {type: varchar(20), nullable: false, default: \"'user'\"}
    checks:
      role_values: role IN ('user', 'tool')
    indexes: {}
";

fn catalog(text: &str) -> Catalog {
    Model::parse("model.yaml", text).unwrap().catalog(&BTreeSet::new()).unwrap()
}

fn both() -> (Catalog, Catalog, Difference) {
    let (live, desired) = (catalog(LIVE), catalog(DESIRED));
    let difference = compare(&desired, &live, &Equivalences::default());
    (live, desired, difference)
}

#[test]
fn the_diff_has_a_line_an_object_and_new_columns_last() {
    let (live, desired, difference) = both();
    let diff = definition_diff(&difference, &[], &live, &desired);
    let expected = "\
--- live table:public.messages
+++ desired table:public.messages
@@ -1,5 +1,8 @@
 table public.messages
+  comment 'One turn'
   column id bigint, not null, generated always as identity
-  column role public.message_role, not null, default 'user'
+  column role varchar(20), not null, default 'user'
   column note text, nullable
+  column name varchar(100), nullable
+  constraint role_values CHECK (role IN ('user', 'tool'))
   index messages_note_idx btree (note)
";
    assert_eq!(diff, expected);
}

#[test]
fn every_fact_has_a_line() {
    let (_, desired, difference) = both();
    let found = findings(&difference, &desired);
    let unmanaged = [("enum types".to_owned(), 1)].into();
    let text = check_text(&found, &unmanaged, false, Style::default());
    let expected = "\
ok       public is a namespace
ok       messages is a table
missing  comment on table messages is 'One turn'
ok       messages.id is bigint, not null, generated always as identity
missing  messages.name is varchar(100), nullable
differs  messages.role is varchar(20), not null, default 'user'
           type is public.message_role, shall be varchar(20)
extra    messages.note is text, nullable
missing  messages.role_values is CHECK (role IN ('user', 'tool'))
extra    messages.messages_note_idx is btree (note)

3 ok, 3 missing, 1 differs, 2 extra. The model does not speak of enum types (1).
";
    assert_eq!(text, expected);
    let quiet = check_text(&found, &unmanaged, true, Style::default());
    assert!(quiet.starts_with("missing  comment") && quiet.lines().count() == 7, "{quiet}");
    assert!(found.iter().all(|f| f.is_ok() == (f.standing == Standing::Ok)));
}

#[test]
fn a_change_that_nothing_proves_is_unproven_and_says_so() {
    let check = |text: &str| {
        format!("tables: {{t: {{columns: {{a: integer}}, checks: {{c: \"{text}\"}}}}}}")
    };
    let (live, desired) = (catalog(&check("a > 0 AND a < 9")), catalog(&check("a < 9 AND a > 0")));
    let difference = compare(&desired, &live, &Equivalences::default());
    let found = findings(&difference, &desired);
    let one = found.iter().find(|f| !f.is_ok()).unwrap();
    assert_eq!(one.standing, Standing::Unproven);
    assert!(one.differences()[0].ends_with("(perhaps the same: nothing proves it)"));
}

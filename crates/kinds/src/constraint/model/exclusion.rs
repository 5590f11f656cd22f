//! Exclusion constraints in a model.

use reconcile_yaml::{Problem, Value};

use super::{Draft, Read};
use crate::constraint::Rule;
use crate::constraint::exclusion::{self, Exclusion};
use crate::model::{ModelReader, columns_in, joined};

impl Draft<'_, '_> {
    pub(super) fn exclusion(&self, reader: &mut ModelReader<'_>) -> Option<Read> {
        let node = self.item.node;
        let list = node.get("elements")?;
        if list.items().is_empty() && matches!(list.value, Value::Sequence(_)) {
            let problem = Problem::new("columns", "an exclusion constraint compares something");
            reader.problem(problem.at(list.span, "none here").help("write [room WITH =]"));
            return None;
        }
        let mut elements = Vec::new();
        for item in list.items() {
            let text = reader.expression(item)?;
            let Some(element) = exclusion::with_operator(&text) else {
                let problem = Problem::new("elements", "an element needs its operator");
                let help = "write `column WITH =`, or an (expression) WITH &&";
                reader.problem(problem.at(item.span, "no operator here").help(help));
                return None;
            };
            elements.push(element);
        }
        let include = match node.get("include") {
            Some(list) => reader.column_list(list, self.table)?,
            None => Vec::new(),
        };
        let method = node.get("using").and_then(|n| reader.name_of(n));
        let predicate = match node.get("where") {
            Some(condition) => Some(reader.expression(condition)?),
            None => None,
        };
        let exclusion = Exclusion {
            method: method.unwrap_or_else(|| "btree".to_owned()),
            elements,
            include,
            predicate,
        };
        let definition = exclusion::sql(&exclusion, &Vec::new(), "");
        let columns = reader.columns(self.table).unwrap_or_default();
        let named: Vec<String> =
            columns_in(&definition, self.table.name(), columns).into_iter().cloned().collect();
        let depends_on = self.on(&named);
        let name2 = Some(joined(&named));
        Some(Read { rule: Rule::Other { definition }, depends_on, name2, label: "excl" })
    }
}

//! The type of a column: what it names, and whether there is such a type.

use reconcile_catalog::Address;
use reconcile_sql::types::TypeError;
use reconcile_sql::{QName, SqlType, quote_ident};
use reconcile_yaml::{Node, Problem, nearest};

use crate::model::ModelReader;

/// The type that a node names, and the object of the model behind it.
pub(crate) fn resolve(
    node: &Node,
    reader: &mut ModelReader<'_>,
) -> Option<(SqlType, Vec<Address>)> {
    let text = node.text()?;
    let ty = match SqlType::parse(text) {
        Ok(ty) => ty,
        Err(error) => {
            let help = match &error {
                TypeError::Empty => "write a type: text, varchar(20), timestamptz".to_owned(),
                TypeError::Unbalanced(_) => {
                    "close it: varchar(20); between { } quote the whole type".to_owned()
                }
                TypeError::NotRead(_) => {
                    "correct the type: varchar(20), timestamp(3) with time zone".to_owned()
                }
                TypeError::NotAColumnType(_) => {
                    "declare the type under `enums:` and name it here, or use varchar with a CHECK"
                        .to_owned()
                }
            };
            reader.problem(
                Problem::new("type", error.to_string()).at(node.span, "no type").help(help),
            );
            return None;
        }
    };
    if ty.namespace.is_none() && ty.is_built_in() {
        return built_in(node, ty, reader).map(|ty| (ty, Vec::new()));
    }
    if ty.namespace.as_deref() == Some("pg_catalog") {
        return Some((ty, Vec::new()));
    }
    named(node, ty, reader)
}

fn built_in(node: &Node, ty: SqlType, reader: &mut ModelReader<'_>) -> Option<SqlType> {
    let integer = match ty.name.as_str() {
        "smallserial" => Some("smallint"),
        "serial" => Some("integer"),
        "bigserial" => Some("bigint"),
        _ => None,
    };
    if let Some(integer) = integer {
        let message = format!("`{}` is a shorthand and no type of a column", ty.name);
        let help = format!("write {{type: {integer}, identity: by default}}");
        reader.problem(Problem::new("serial", message).at(node.span, "not a type").help(help));
        return None;
    }
    let numbers = match ty.name.as_str() {
        "varchar" | "char" | "bpchar" | "bit" | "varbit" | "time" | "timetz" | "timestamp"
        | "timestamptz" | "interval" => 1,
        "numeric" => 2,
        _ => 0,
    };
    let given = ty.modifiers.as_deref().map_or_else(Vec::new, |m| m.split(',').collect());
    let right = given.len() <= numbers && given.iter().all(|n| n.trim().parse::<i32>().is_ok());
    if !right {
        let takes = match numbers {
            0 => "takes nothing in parentheses",
            1 => "takes one whole number in parentheses",
            _ => "takes a precision and a scale in parentheses",
        };
        let help = if ty.name == "text" {
            "a text with a limit is varchar(20)"
        } else {
            "correct the type"
        };
        let message = format!("{} {takes}", ty.name);
        reader.problem(Problem::new("type", message).at(node.span, "this type").help(help));
        return None;
    }
    Some(ty)
}

fn named(
    node: &Node,
    ty: SqlType,
    reader: &mut ModelReader<'_>,
) -> Option<(SqlType, Vec<Address>)> {
    let places = match &ty.namespace {
        Some(namespace) => vec![namespace.clone()],
        None => vec![reader.namespace.clone(), "public".to_owned()],
    };
    let candidates: Vec<QName> = places.into_iter().map(|ns| QName::new(ns, &ty.name)).collect();
    for candidate in &candidates {
        let resolved = SqlType { namespace: Some(candidate.namespace.clone()), ..ty.clone() };
        if let Some(address) = reader.declared.get(candidate) {
            return Some((resolved, vec![address.clone()]));
        }
        reader.asks_for_types = true;
        if reader.types.is_some_and(|types| types.contains(candidate)) {
            return Some((resolved, extensions_in(&candidate.namespace, reader)));
        }
    }
    // An extension that is still to be made may bring the type: only the server knows.
    for candidate in &candidates {
        let needs = extensions_in(&candidate.namespace, reader);
        if !needs.is_empty() {
            return Some((SqlType { namespace: Some(candidate.namespace.clone()), ..ty }, needs));
        }
    }
    if reader.types.is_none() {
        let namespace = candidates.into_iter().next().map(|name| name.namespace);
        return Some((SqlType { namespace, ..ty }, Vec::new()));
    }
    let problem = unknown(node, &ty, reader);
    reader.problem(problem);
    None
}

/// The extensions of the model that can have a type in a namespace.
fn extensions_in(namespace: &str, reader: &ModelReader<'_>) -> Vec<Address> {
    let here = reader.extensions.iter().filter(|(of, _)| of == namespace);
    here.map(|(_, extension)| extension.clone()).collect()
}

fn unknown(node: &Node, ty: &SqlType, reader: &ModelReader<'_>) -> Problem {
    let declared = reader.declared.keys().cloned();
    let user: Vec<QName> = declared.chain(reader.types.into_iter().flatten().cloned()).collect();
    let spell = |name: &QName| {
        if name.namespace == reader.namespace || name.namespace == "public" {
            quote_ident(&name.name)
        } else {
            name.to_string()
        }
    };
    let same = |name: &&QName| name.name.eq_ignore_ascii_case(&ty.name);
    let suggestion = user.iter().find(same).map(spell).or_else(|| {
        let mut known: Vec<&str> =
            SqlType::known_names().chain(SqlType::sqlalchemy_names()).collect();
        known.extend(user.iter().map(|name| name.name.as_str()));
        let near = nearest(&ty.name, known)?;
        let named = user.iter().find(|name| name.name == near).map(spell);
        let modifiers = ty.modifiers.as_ref().map_or_else(String::new, |m| format!("({m})"));
        named.or_else(|| Some(format!("{near}{modifiers}")))
    });
    let help = match suggestion {
        Some(quoted) if quoted.contains('"') => {
            format!("did you mean `{quoted}`? in YAML: '{quoted}'")
        }
        Some(near) => format!("did you mean `{near}`?"),
        None => "it is neither built in, nor under `enums:`, nor in the database".to_owned(),
    };
    let shown = node.text().unwrap_or_default();
    Problem::new("unknown_type", format!("unknown type `{shown}`"))
        .at(node.span, "not a type")
        .help(help)
}

//! Where names without a namespace are looked for.

use crate::quote_ident;

/// The search_path under which the texts of a model are read: `lower(x)` is PostgreSQL's,
/// `my_func(x)` is looked for beside the relation and then in `public`.
///
/// It is the same whatever the role's or the database's own setting says, so that a model means
/// one thing. What the server deparsed under an empty path is qualified and reads the same under
/// this one. Temporary objects are looked up last.
pub fn search_path(namespace: &str) -> String {
    let mut path = vec!["pg_catalog"];
    if !namespace.is_empty() && namespace != "pg_catalog" {
        path.push(namespace);
    }
    if namespace != "public" {
        path.push("public");
    }
    path.push("pg_temp");
    path.into_iter().map(quote_ident).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::search_path;

    #[test]
    fn paths() {
        assert_eq!(search_path("public"), "pg_catalog, public, pg_temp");
        assert_eq!(search_path("My App"), "pg_catalog, \"My App\", public, pg_temp");
        assert_eq!(search_path(""), "pg_catalog, public, pg_temp");
    }
}

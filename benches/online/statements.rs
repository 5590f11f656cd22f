//! What the clients send: the statements of an application before its change and after it.

use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgTypeInfo};
use sqlx::{Encode, PgConnection, Postgres, Type};

/// How an application says what a role is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// It names the type: `$1::message_role`.
    Old,
    /// It leaves the type to the server.
    New,
}

/// How it sends its statements.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Prepared,
    Simple,
}

/// What a statement does.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Update,
    Insert,
    Delete,
    /// Reads the role, cast.
    ReadText,
    /// Reads the role as it is, so that the result's type changes.
    Read,
    /// Looks for a role.
    Find,
    /// Reads the view.
    View,
}

impl Kind {
    /// The statement; `$R` is a role and `$I` a key.
    fn text(self) -> &'static str {
        match self {
            Self::Update => "UPDATE messages SET role = $R WHERE id = $I",
            Self::Insert => {
                "INSERT INTO messages (role, id, conversation, content) VALUES ($R, $I, 5, 'new')"
            }
            Self::Delete => "DELETE FROM messages WHERE id = $I",
            Self::ReadText => "SELECT role::text, content FROM messages WHERE id = $I",
            Self::Read => "SELECT role, id FROM messages WHERE id = $I",
            Self::Find => "SELECT count(*) FROM messages WHERE role = $R AND id = $I",
            Self::View => "SELECT content FROM answers WHERE id = $I",
        }
    }
}

/// Sends one; the error's words.
pub(crate) async fn send(
    connection: &mut PgConnection,
    (style, protocol): (Style, Protocol),
    kind: Kind,
    role: &'static str,
    id: u64,
) -> Result<(), String> {
    let cast = if style == Style::Old { "::message_role" } else { "" };
    let has_role = kind.text().contains("$R");
    let done = match protocol {
        Protocol::Prepared => {
            let (role_at, id_at) = (format!("$1{cast}"), if has_role { "$2" } else { "$1" });
            let sql = kind.text().replace("$R", &role_at).replace("$I", id_at);
            let mut query = sqlx::query(sqlx::AssertSqlSafe(sql));
            if has_role {
                query = query.bind(Untyped(role));
            }
            query.bind(id.cast_signed()).fetch_all(&mut *connection).await
        }
        Protocol::Simple => {
            let sql = kind.text().replace("$R", &format!("'{role}'{cast}"));
            let sql = sql.replace("$I", &id.to_string());
            sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).fetch_all(&mut *connection).await
        }
    };
    done.map(drop).map_err(|error| error.to_string())
}

/// A value whose type the server finds out, as most drivers send text.
struct Untyped(&'static str);

impl Type<Postgres> for Untyped {
    fn type_info() -> PgTypeInfo {
        // `unknown`, pg_type.dat
        PgTypeInfo::with_oid(Oid(705))
    }
}

impl Encode<'_, Postgres> for Untyped {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        buffer.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }
}

//! Reads the spellings of a connection: URLs, SQLAlchemy's URLs and libpq's keyword strings.
//!
//! Invariant: the result is a list of libpq keywords with their values, and no error of this
//! module repeats a part of the input that could belong to a password. A password with an
//! unescaped `/`, `?` or `@` shifts everything that follows it, so only names that look like
//! parameter names are ever repeated.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;

use super::TargetError;

/// libpq keywords and their values, as one source states them.
pub(super) type Settings = BTreeMap<String, String>;

/// Reads a URL or a keyword string.
pub(super) fn read(text: &str) -> Result<Settings, TargetError> {
    let text = text.trim();
    if text.contains('\0') || text.contains("%00") {
        return Err(TargetError::ZeroByte);
    }
    match text.split_once("://") {
        Some((scheme, rest)) if is_scheme(scheme) => url(scheme, rest),
        _ if text.contains('=') => keywords(text),
        _ => Err(TargetError::NotAConnection),
    }
}

fn is_scheme(text: &str) -> bool {
    let text = text.strip_prefix("jdbc:").unwrap_or(text);
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "+.-_".contains(c))
}

/// True for text that can only be the name of a parameter, so that an error may repeat it.
fn is_parameter_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.len() <= 40
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-.[]".contains(c))
}

fn url(scheme: &str, rest: &str) -> Result<Settings, TargetError> {
    let scheme = scheme.to_ascii_lowercase();
    let (dialect, driver) = match scheme.strip_prefix("jdbc:").unwrap_or(&scheme).split_once('+') {
        Some((dialect, driver)) => (dialect, Some(driver)),
        None => (scheme.strip_prefix("jdbc:").unwrap_or(&scheme), None),
    };
    if !matches!(dialect, "postgresql" | "postgres") {
        return Err(TargetError::Scheme(scheme));
    }

    let (user_info, rest) = split_user_info(rest);
    let (authority, rest) = match rest.find(['/', '?']) {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let (path, query) = match rest.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (rest, None),
    };
    let path = path.strip_prefix('/').unwrap_or(path);
    if path.contains('@') || authority.contains('@') {
        return Err(TargetError::Unescaped);
    }

    let mut settings = Settings::new();
    if let Some(user_info) = user_info {
        let (user, password) = match user_info.split_once(':') {
            Some((user, password)) => (user, Some(password)),
            None => (user_info, None),
        };
        set(&mut settings, "user", decode("user", user)?);
        if let Some(password) = password {
            set(&mut settings, "password", decode("password", password)?);
        }
    }
    host_and_port(authority, &mut settings)?;
    set(&mut settings, "dbname", decode("dbname", path)?);

    for pair in query.unwrap_or("").split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').ok_or(TargetError::Unescaped)?;
        let name = percent_decode_str(name).decode_utf8_lossy().into_owned();
        if !is_parameter_name(&name) {
            return Err(TargetError::Unescaped);
        }
        // SQLAlchemy and JDBC read the query as a form, where `+` is a space; libpq does not.
        let form = driver.is_some() || scheme.starts_with("jdbc:");
        let value = if form { value.replace('+', " ") } else { value.to_owned() };
        let value = decode(&name, &value)?;
        // asyncpg's and psycopg's several `host` parameters, one for each server.
        if name == "host" && settings.contains_key("host") && !settings["host"].is_empty() {
            return Err(TargetError::SeveralHosts);
        }
        let (name, value) = keyword(&name, value);
        set(&mut settings, &name, value);
    }
    Ok(settings)
}

/// Splits `user:password@` off.
///
/// As libpq does, an `@` before the first `/` ends it; where there are several, the last does, so
/// that a password with an unescaped `@`, `?` or `#` is still read as it is meant.
fn split_user_info(rest: &str) -> (Option<&str>, &str) {
    let end = rest.find('/').unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        // `host?user=me@example` has no user part: its `@` belongs to a parameter.
        Some(at) if rest[..at].contains('?') && !rest[..at].contains(':') => (None, rest),
        Some(at) => (Some(&rest[..at]), &rest[at + 1..]),
        None => (None, rest),
    }
}

fn host_and_port(authority: &str, settings: &mut Settings) -> Result<(), TargetError> {
    if authority.contains(',') {
        return Err(TargetError::SeveralHosts);
    }
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or(TargetError::Unescaped)?;
        (host, rest.strip_prefix(':').unwrap_or(rest))
    } else {
        authority.split_once(':').unwrap_or((authority, ""))
    };
    if !port.chars().all(|c| c.is_ascii_digit()) {
        return Err(TargetError::Port);
    }
    set(settings, "host", decode("host", host)?);
    set(settings, "port", port.to_owned());
    Ok(())
}

fn decode(name: &str, text: &str) -> Result<String, TargetError> {
    match percent_decode_str(text).decode_utf8() {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => Err(TargetError::NotUtf8 { name: name.to_owned() }),
    }
}

/// Translates the names and values that other drivers use into libpq's.
fn keyword(name: &str, value: String) -> (String, String) {
    match name {
        "database" => ("dbname".to_owned(), value),
        "username" => ("user".to_owned(), value),
        // asyncpg and node-postgres say `ssl=require`, JDBC `ssl=true`.
        "ssl" => {
            let mode = match value.to_ascii_lowercase().as_str() {
                "true" | "1" | "on" | "yes" => "require".to_owned(),
                "false" | "0" | "off" | "no" => "disable".to_owned(),
                _ => value,
            };
            ("sslmode".to_owned(), mode)
        }
        "ApplicationName" => ("application_name".to_owned(), value),
        _ => (name.to_owned(), value),
    }
}

/// Reads libpq's `host=localhost dbname='my db'` spelling.
fn keywords(text: &str) -> Result<Settings, TargetError> {
    let mut settings = Settings::new();
    let mut chars = text.chars().peekable();
    loop {
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        if chars.peek().is_none() {
            return Ok(settings);
        }
        let mut name = String::new();
        while let Some(c) = chars.next_if(|c| *c != '=' && !c.is_whitespace()) {
            name.push(c);
        }
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        if chars.next() != Some('=') || !is_parameter_name(&name) {
            return Err(TargetError::Keywords);
        }
        while chars.next_if(|c| c.is_whitespace()).is_some() {}

        let quoted = chars.next_if_eq(&'\'').is_some();
        let mut value = String::new();
        loop {
            match chars.next() {
                Some('\'') if quoted => break,
                Some('\\') => value.push(chars.next().ok_or(TargetError::Keywords)?),
                Some(c) if c.is_whitespace() && !quoted => break,
                Some(c) => value.push(c),
                None if quoted => return Err(TargetError::Keywords),
                None => break,
            }
        }
        set(&mut settings, &name, value);
    }
}

/// Sets a keyword; an empty value counts as none, as in libpq.
pub(super) fn set(settings: &mut Settings, name: &str, value: String) {
    if value.is_empty() {
        settings.remove(name);
    } else {
        settings.insert(name.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        read(text).unwrap_or_else(|e| panic!("{text}: {e}")).into_iter().collect()
    }

    fn settings(text: &str) -> String {
        let pairs = pairs(text);
        pairs.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn urls_of_every_client_mean_the_same() {
        let want = "dbname=shop host=db.example port=6000 sslmode=require user=me";
        for url in [
            "postgresql://me@db.example:6000/shop?sslmode=require",
            "postgres://me@db.example:6000/shop?sslmode=require",
            "postgresql+asyncpg://me@db.example:6000/shop?ssl=require",
            "postgresql+psycopg2://me@db.example:6000/shop?sslmode=require",
            "postgresql+psycopg://me@db.example:6000/shop?sslmode=require",
            "postgresql+pg8000://me@db.example:6000/shop?ssl=true",
            "jdbc:postgresql://db.example:6000/shop?user=me&ssl=true",
            "  POSTGRESQL://me@db.example:6000/shop?sslmode=require\n",
            "host=db.example port = 6000 user='me' dbname=shop sslmode=require",
        ] {
            assert_eq!(settings(url), want, "{url}");
        }
    }

    #[test]
    fn odd_passwords_are_read_as_they_are_meant() {
        for (url, password) in [
            ("postgresql://u:p%40ss%2Fw%3A%25@h/d", "p@ss/w:%"),
            ("postgresql://u:p@ss@h/d", "p@ss"),
            ("postgresql://u:p?s#s@h/d", "p?s#s"),
            ("postgresql://u:a:b@h/d", "a:b"),
            ("postgresql://u:100%@h/d", "100%"),
            ("postgresql://u@h/d?password=a%26b", "a&b"),
            (r"host=h password='it\'s a \\ word'", r"it's a \ word"),
        ] {
            assert_eq!(read(url).unwrap()["password"], password, "{url}");
            assert_eq!(read(url).unwrap()["host"], "h", "{url}");
        }
    }

    #[test]
    fn sockets_and_addresses() {
        assert_eq!(settings("postgresql:///d?host=/run/pg"), "dbname=d host=/run/pg");
        assert_eq!(settings("postgresql://%2Frun%2Fpg/d"), "dbname=d host=/run/pg");
        assert_eq!(settings("postgresql://u@[::1]:5433/d"), "dbname=d host=::1 port=5433 user=u");
        assert_eq!(settings("postgresql://"), "");
        assert_eq!(settings("postgresql://h?user=a@b"), "host=h user=a@b");
    }

    #[test]
    fn what_cannot_be_read_is_refused_without_repeating_it() {
        for text in [
            "postgresql://u:s3cr/et@h/d",
            "postgresql://u:12/3s3cret@h/d",
            "postgresql://u:12?s3cr/et@h/d",
            "postgresql://u:s3cret",
            "postgresql://u:1,s3cret/d",
            "postgresql://[s3cret/d",
            "postgresql://u@h/d?s3cret",
            "mysql://u:s3cret@h/d",
            "host=h s3cret",
            "host=h password='s3cret",
            "s3cret",
            "u:s3cret://h/d",
            "postgresql://u:s3cret%FF@h/d",
            "postgresql://u:s3cret%00@h/d",
        ] {
            let error = read(text).expect_err(text).to_string();
            assert!(!error.contains("s3cr"), "{text}: {error}");
        }
        assert!(matches!(read("postgresql://h1,h2/d"), Err(TargetError::SeveralHosts)));
        assert!(matches!(read("postgresql://h1:1,h2:2/d"), Err(TargetError::SeveralHosts)));
        assert!(matches!(
            read("postgresql+asyncpg:///d?host=h1&host=h2"),
            Err(TargetError::SeveralHosts)
        ));
    }
}

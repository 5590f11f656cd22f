#![allow(clippy::unwrap_used)]

use std::ffi::OsString;

use super::*;

fn around(variables: &[(&str, &str)]) -> Surroundings {
    // A home without password and service files, unless the test names one.
    let home = ("HOME", "/nonexistent");
    Surroundings::new(
        [home].iter().chain(variables).map(|(k, v)| (OsString::from(k), OsString::from(v))),
    )
}

fn read(text: &str, variables: &[(&str, &str)]) -> Parsed {
    Target::read(Some(text), &around(variables)).unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn refused(text: &str) -> TargetError {
    Target::read(Some(text), &around(&[])).expect_err(text)
}

#[test]
fn neon_hands_out_a_url() {
    let parsed = read(
        "postgresql://app:npg_s3cret@ep-cool-name-123-pooler.us-east-2.aws.neon.tech/shop\
         ?sslmode=require&channel_binding=require",
        &[],
    );
    assert_eq!(
        parsed.target.display(),
        "postgresql://app@ep-cool-name-123-pooler.us-east-2.aws.neon.tech:5432/shop"
    );
    assert_eq!(parsed.target.ssl_mode, SslMode::Require);
    assert_eq!(parsed.notes.len(), 1, "{:?}", parsed.notes);
    assert!(parsed.notes[0].contains("`channel_binding` is ignored"));
}

#[test]
fn nothing_shows_the_password() {
    let parsed = read("postgresql://u:s3cr%40t@h/d?foo=s3cr%40t&options=-c%20a%3Db", &[]);
    let shown = format!("{parsed:?} {} {}", parsed.target, parsed.target.display());
    assert!(!shown.contains("s3cr"), "{shown}");
    assert!(parsed.notes[0].contains("`foo` is ignored"), "{:?}", parsed.notes);

    let target = parsed.target;
    assert_eq!(target.scrub("login s3cr@t as s3cr%40t"), "login *** as ***");
    let short = read("postgresql://u:ab@h/d", &[]).target;
    assert_eq!(short.scrub("ab cab (ab) ab"), "*** cab (***) ***");
    let same = read("postgresql://postgres:postgres@h/d", &[]).target;
    assert_eq!(same.scrub("role \"postgres\""), "role \"postgres\"");
}

#[test]
fn the_text_goes_before_the_variables() {
    let variables = [
        ("PGHOST", "env.example"),
        ("PGPORT", "7000"),
        ("PGUSER", "env_user"),
        ("PGPASSWORD", "env_secret"),
        ("PGDATABASE", "env_db"),
        ("PGSSLMODE", "disable"),
        ("PGAPPNAME", "env_app"),
    ];
    let target = read("postgresql://me@db.example/shop", &variables).target;
    assert_eq!(target.display(), "postgresql://me@db.example:7000/shop");
    assert_eq!(target.password, Some(Secret("env_secret".to_owned())));
    assert_eq!(target.ssl_mode, SslMode::Disable);
    assert_eq!(target.application_name, "env_app");

    let target = Target::read(None, &around(&variables)).unwrap().target;
    assert_eq!(target.display(), "postgresql://env_user@env.example:7000/env_db");
}

#[test]
fn verification_means_what_libpq_means() {
    let mode = |text: &str| read(text, &[]).target.ssl_mode;
    assert_eq!(mode("postgresql://h/d"), SslMode::Prefer);
    assert_eq!(mode("postgresql://h/d?sslmode=require"), SslMode::Require);
    assert_eq!(mode("postgresql://h/d?sslmode=require&sslrootcert=/ca.pem"), SslMode::VerifyCa);
    assert_eq!(mode("postgresql://h/d?sslrootcert=system"), SslMode::VerifyFull);
    let system = read("postgresql://h/d?sslmode=verify-full&sslrootcert=system", &[]).target;
    assert_eq!(system.ssl_root_cert, None);
    assert_eq!(
        refused("postgresql://h/d?sslmode=require&sslrootcert=system"),
        TargetError::WeakWithSystem
    );
    assert!(matches!(
        refused("postgresql://h/d?sslmode=on"),
        TargetError::Value { name: "sslmode", .. }
    ));
    assert_eq!(refused("postgresql://h/d?sslcert=/c.pem"), TargetError::HalfAClientCertificate);
}

#[test]
fn several_hosts_and_bad_ports_are_refused() {
    assert_eq!(refused("host=a,b dbname=d"), TargetError::SeveralHosts);
    assert_eq!(refused("postgresql:///d?host=a,b"), TargetError::SeveralHosts);
    assert_eq!(refused("postgresql://h:70000/d"), TargetError::Port);
    assert_eq!(refused("postgresql://h:0/d"), TargetError::Port);
    let error = Target::read(None, &around(&[("PGHOST", "a,b")])).unwrap_err();
    assert_eq!(error, TargetError::SeveralHosts);
}

#[test]
fn a_child_gets_the_target_and_none_of_our_variables() {
    let target = read(
        "postgresql://me:s3cret@db.example:6000/shop?sslmode=verify-full&connect_timeout=7",
        &[],
    )
    .target;
    let env = target.child_env();
    let get = |name: &str| {
        let (_, value) = env.iter().find(|(k, _)| k == name).expect(name);
        value.as_ref().and_then(|v| v.to_str())
    };
    assert_eq!(get("PGHOST"), Some("db.example"));
    assert_eq!(get("PGPORT"), Some("6000"));
    assert_eq!(get("PGPASSWORD"), Some("s3cret"));
    assert_eq!(get("PGSSLMODE"), Some("verify-full"));
    assert_eq!(get("PGSSLROOTCERT"), Some("system"));
    assert_eq!(get("PGCONNECT_TIMEOUT"), Some("7"));
    assert_eq!(get("PGSERVICE"), None);
    assert_eq!(get("PGHOSTADDR"), None);
}

#[test]
fn services_and_password_files_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let service = folder.path().join("services.conf");
    std::fs::write(&service, "[shop]\nhost=db.example\ndbname=shop\nuser=svc\n").unwrap();
    let pgpass = folder.path().join("pgpass");
    std::fs::write(&pgpass, "db.example:5432:shop:svc:from_file\n").unwrap();
    let path = |p: &std::path::Path| p.to_str().unwrap().to_owned();
    let (service, pgpass) = (path(&service), path(&pgpass));
    let variables = [("PGSERVICEFILE", service.as_str()), ("PGPASSFILE", pgpass.as_str())];

    chmod(&pgpass, 0o644);
    let parsed = read("postgresql://?service=shop", &variables);
    assert_eq!(parsed.target.password, None);
    assert!(parsed.notes.iter().any(|n| n.contains("chmod 0600")), "{:?}", parsed.notes);
    chmod(&pgpass, 0o600);
    let parsed = read("postgresql://?service=shop", &variables);
    assert_eq!(parsed.target.display(), "postgresql://svc@db.example:5432/shop");
    assert_eq!(parsed.target.password, Some(Secret("from_file".to_owned())));
    assert!(parsed.notes.is_empty(), "{:?}", parsed.notes);

    let error = Target::read(Some("service=none"), &around(&variables)).unwrap_err();
    assert_eq!(error, TargetError::Service { name: "none".to_owned() });
}

fn chmod(path: &str, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

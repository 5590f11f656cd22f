//! The name of a type is read or refused, and so is what it prints as.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(ty) = reconcile_sql::SqlType::parse(text) {
        let _ = reconcile_sql::SqlType::parse(&ty.to_string());
    }
});

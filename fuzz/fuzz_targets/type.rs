//! A type that is read prints as one that reads as the same type.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(ty) = reconcile_sql::SqlType::parse(text) {
        assert_eq!(reconcile_sql::SqlType::parse(&ty.to_string()).ok(), Some(ty));
    }
});

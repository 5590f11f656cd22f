//! A model's text is read or refused, and never more than that.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    let _ = reconcile_model::Model::parse("fuzz.yaml", text);
});

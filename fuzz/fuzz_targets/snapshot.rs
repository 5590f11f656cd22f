//! A snapshot that is read is written as the same bytes, and nothing else is read.
#![no_main]

use reconcile_live::snapshot::SavedSnapshot;

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(saved) = SavedSnapshot::read(text) {
        let written = saved.write();
        assert_eq!(SavedSnapshot::read(&written).map(|again| again.write()).ok(), Some(written));
    }
});

//! Any bytes as the text of a SPEC: the tree gives them back, a format changes nothing twice, a rule never panics.
#![no_main]

use keel_spec::{format, lint, macros::text, syntax};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    assert!(syntax::round_trips(bytes));
    let decoded = text::decode(bytes);
    let once = format::format(&decoded);
    assert_eq!(format::format(&once), once);
    let findings = lint::lint(&decoded, &lint::Options::default());
    let _ = lint::fix(&decoded, &findings);
});

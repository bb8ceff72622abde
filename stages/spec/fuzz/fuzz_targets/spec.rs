//! Any text as a SPEC: no panic, no hang.
#![no_main]

mod world;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((choice, text)) = bytes.split_first() else { return };
    let mut engine = world::engine(*choice);
    let text = keel_spec::macros::text::decode(text).into_owned();
    let outcome = keel_spec::eval::evaluate(&mut engine, "/f.spec", &text, &|arch| arch == "noarch");
    if let Some(spec) = outcome.evaluated {
        assert!(!spec.packages.is_empty());
    }
});

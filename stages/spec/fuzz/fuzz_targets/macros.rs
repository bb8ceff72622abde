//! Any text, expanded: no panic, no hang.
#![no_main]

mod world;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((choice, text)) = bytes.split_first() else { return };
    let mut engine = world::engine(*choice);
    let text = keel_spec::macros::text::decode(text).into_owned();
    let _ = engine.expand(&text);
    let _ = engine.is_true(&text);
    assert!(engine.take_messages().len() <= 10_001);
});

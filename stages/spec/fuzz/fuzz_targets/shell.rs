//! Any text as a command: what the shell of Keel's own makes of it ends, and nothing is run.
#![no_main]

use keel_spec::{
    macros::World as _,
    world::{Options, Policy, Surroundings},
};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let options = Options {
        policy: Policy::Facts,
        ..Options::default()
    };
    let world = Surroundings::new(options).expect("a world without a root").of_spec("fuzz");
    let _ = world.shell(bytes);
    let _ = world.take_warnings();
});

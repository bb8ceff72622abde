//! A package of any bytes: read, streamed, unpacked, verified. Nothing may panic, hang, or write outside its folder.
#![no_main]

use keel_artefact::Epoch;
use keel_rpm::{Error, Limits, payload, sign, unpack};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(dir) = tempfile::tempdir() else { return };
    let package = dir.path().join("p.rpm");
    if std::fs::write(&package, bytes).is_err() {
        return;
    }
    let limits = Limits { files: 10_000, bytes: 64 << 20 };
    let _ = keel_rpm::read(&package);
    let _ = payload::payload_within::<Error>(&package, limits, &mut |_, _| Ok(()));
    let _ = unpack::unpack_within(&package, &dir.path().join("inside"), limits);
    let _ = sign::verify_package(&package, &sign::Certificates::none(Epoch(0)));
    let _ = sign::clear_package(&package, &dir.path().join("copy.rpm"));
    let names = std::fs::read_dir(dir.path()).expect("it was just made");
    assert!(names.count() <= 3, "written outside");
});

//! What a rendered folder depends on, as one digest: the same digest, the same folder. Rule R87.

use std::io;

use keel_artefact::{Fingerprint, Sha256};
use keel_config::overlay::{Change, Overlay};

use super::Request;

/// Counts ways of rendering: another number where the same request gives other bytes.
const VERSION: &str = "rendered/1";

/// The digest of a request whose input is a commit: all that its result depends on, but not where the input lies. `macros` is
/// the digest of what SPECs are read with.
pub fn of(request: &Request<'_>, commit: &str, macros: &Sha256) -> io::Result<Sha256> {
    let mut print = Fingerprint::new(VERSION);
    print
        .add("keel", env!("CARGO_PKG_VERSION"))
        .add("name", request.name)
        .add("commit", commit)
        .add("spec", request.spec)
        .add("semantics", format!("{:?}", request.semantics))
        .add("macros-file", request.macros.file().unwrap_or_default())
        .add("skip-check", format!("{:?}", request.skip_check))
        .add("calculation", format!("{:?}", request.calculation))
        .add("changes", request.changes.to_string())
        .add_digest("macros", macros);
    for (name, flag) in [
        ("free-source-number", request.free_source_number),
        ("always-header", request.always_header),
        ("with-archives", request.with_archives),
        ("skip-file-filter", request.skip_file_filter),
        ("list", request.list.is_some()),
    ] {
        print.add(name, flag.to_string());
    }
    for file in request.source_files {
        print.add("source-file", format!("{file:?}"));
    }
    for overlay in request.overlays {
        overlaid(&mut print, overlay)?;
    }
    Ok(print.finish())
}

/// Where an overlay is written, and where a file that it copies lies, makes no difference; what that file holds does.
fn overlaid(print: &mut Fingerprint, overlay: &Overlay) -> io::Result<()> {
    let mut change = serde_json::to_value(&overlay.change)?;
    if let (Change::PatchAdd { source, .. } | Change::FileAdd { source, .. }, Some(change)) =
        (&overlay.change, change.as_object_mut())
    {
        change.remove("source");
        let name = source.file_name().unwrap_or_default().to_string_lossy();
        print.add("copied-as", name.as_bytes());
        match Sha256::of_file(source) {
            Ok((digest, _)) => print.add_digest("copied", &digest),
            // Rendering says what is wrong with it.
            Err(error) => print.add("copied", error.kind().to_string()),
        };
    }
    print.add("overlay", change.to_string());
    print.add("description", overlay.description.as_deref().unwrap_or_default());
    print.add("archive", overlay.archive.as_deref().unwrap_or_default());
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use keel_config::{
        Location,
        overlay::{Calculation, Semantics},
    };

    use super::*;
    use crate::render::macros_file::Options;

    /// Rule R87: each input counts, and where files lie does not.
    #[test]
    fn another_input_is_another_digest() {
        let dir = tempfile::tempdir().unwrap();
        let patch = |folder: &str, text: &str| {
            let path = dir.path().join(folder).join("a.patch");
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(&path, text).unwrap();
            Overlay {
                change: Change::PatchAdd {
                    source: path,
                    file: None,
                },
                description: None,
                archive: None,
                metadata: None,
                defined_at: Location::file(Path::new(folder)),
            }
        };
        let none = Default::default();
        let digest =
            |change: &dyn Fn(&mut Request<'_>), overlays: &[Overlay], commit: &str, macros: &[u8]| {
                let mut request = Request {
                    name: "a",
                    input: dir.path(),
                    spec: "a.spec",
                    overlays,
                    semantics: Semantics::Lines,
                    macros: Options {
                        with: &[],
                        without: &[],
                        defines: &none,
                        undefines: &[],
                        upstream: &none,
                    },
                    skip_check: None,
                    calculation: Calculation::Auto,
                    changes: 0,
                    free_source_number: false,
                    always_header: false,
                    source_files: &[],
                    with_archives: false,
                    history: None,
                    skip_file_filter: false,
                    list: None,
                };
                change(&mut request);
                of(&request, commit, &Sha256::of(macros)).unwrap()
            };
        let same = |_: &mut Request<'_>| {};
        let one = digest(&same, &[patch("x", "1")], "0", b"m");
        assert_eq!(digest(&same, &[patch("y", "1")], "0", b"m"), one);
        for other in [
            digest(&same, &[patch("x", "2")], "0", b"m"),
            digest(&same, &[], "0", b"m"),
            digest(&same, &[patch("x", "1")], "1", b"m"),
            digest(&same, &[patch("x", "1")], "0", b"n"),
            digest(&|request| request.changes = 1, &[patch("x", "1")], "0", b"m"),
            digest(
                &|request| request.skip_check = Some(""),
                &[patch("x", "1")],
                "0",
                b"m",
            ),
            digest(
                &|request| request.always_header = true,
                &[patch("x", "1")],
                "0",
                b"m",
            ),
            digest(
                &|request| request.semantics = Semantics::Structural,
                &[patch("x", "1")],
                "0",
                b"m",
            ),
        ] {
            assert_ne!(other, one);
        }
    }
}

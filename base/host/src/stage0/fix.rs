//! The small layer on top of the tools that makes a build root of them. Two variants: over Keel's libc, and, for the
//! first libc only, over Debian's.
//!
//! **Compiler.** Debian's gcc looks for start files in Debian's folders only; `-B/usr/lib64` makes it take Keel's
//! (gcc(1), "-B"). Its drivers `gcc-N` and `TRIPLET-gcc` are replaced by scripts that add the option and run the real
//! `TRIPLET-gcc-N`; `gcc`, `cc`, `c99` are links to, or scripts over, the first. Whoever runs the real name gets no
//! start files, which is an error that is seen.
//!
//! **Linker.** All its names run a script that has it record each file it reads (ld(1), `--dependency-file`) in
//! `/build/trace`, where that folder exists. The real one moves to [`REAL_LD`], so that no name of it is left in `PATH`.

use std::{os::unix::fs::PermissionsExt, path::Path};

use keel_artefact::Arch;

use crate::Error;

/// Where the real linker is, relative to the root.
pub const REAL_LD: &str = "usr/libexec/keel/ld.bfd";

/// Folder for the linker's records, inside a build root. Without it there are none.
pub const TRACE: &str = "/build/trace";

const PASSWD: &str = "root:x:0:0:root:/build:/bin/sh\nbuilder:x:1000:1000:builder:/build:/bin/sh\n\
    nobody:x:65534:65534:nobody:/:/bin/false\n";
const GROUP: &str = "root:x:0:\nbuilder:x:1000:\nnogroup:x:65534:\n";
const HOSTS: &str = "127.0.0.1 localhost\n::1 localhost\n";

/// Makes `fix` and `fix-bootstrap` beside `tools` in `folder`, and moves the linker in `tools`.
pub(crate) fn make(folder: &Path, arch: Arch) -> Result<(), Error> {
    let tools = folder.join("tools");
    let triplet = arch.debian_triplet();
    let debian = format!("/usr/lib/{triplet}\n");
    let linker = format!("usr/bin/{triplet}-ld.bfd");
    let has_linker = tools.join(&linker).is_file();
    if has_linker {
        fs_err::create_dir_all(tools.join(REAL_LD).parent().unwrap_or(&tools))?;
        fs_err::rename(tools.join(&linker), tools.join(REAL_LD))?;
    }
    for (layer, libraries) in [
        ("fix", format!("/usr/lib64\n{debian}")),
        ("fix-bootstrap", debian.clone()),
    ] {
        let layer = folder.join(layer);
        for part in ["build", "etc", "usr/bin", "usr/lib64"] {
            fs_err::create_dir_all(layer.join(part))?;
        }
        for (name, text) in [
            ("passwd", PASSWD),
            ("group", GROUP),
            ("hosts", HOSTS),
            ("ld.so.conf", libraries.as_str()),
        ] {
            fs_err::write(layer.join("etc").join(name), text)?;
        }
        if has_linker {
            let trace = format!(
                "# The linker, with a record of every file it reads: the build stage checks it.\n\
                 if [ -d {TRACE} ]; then\n  n=$$\n  while [ -e {TRACE}/$n.d ]; do n=$n.1; done\n  \
                 exec /{REAL_LD} --dependency-file={TRACE}/$n.d \"$@\"\nfi\nexec /{REAL_LD} \"$@\"\n"
            );
            for name in [
                "ld",
                "ld.bfd",
                &format!("{triplet}-ld"),
                &format!("{triplet}-ld.bfd"),
            ] {
                script(&layer.join("usr/bin").join(name), &trace)?;
            }
        }
    }
    let bin = folder.join("fix/usr/bin");
    for driver in ["gcc", "g++"] {
        // `gcc` is a link to `gcc-14`.
        let Ok(versioned) = fs_err::read_link(tools.join("usr/bin").join(driver)) else {
            continue;
        };
        let versioned = versioned.to_string_lossy().into_owned();
        let real = format!("/usr/bin/{triplet}-{versioned}");
        if tools.join(&real[1..]).is_file() {
            for name in [versioned, format!("{triplet}-{driver}")] {
                script(&bin.join(name), &format!("exec {real} -B/usr/lib64 \"$@\"\n"))?;
            }
        }
    }
    Ok(())
}

fn script(path: &Path, body: &str) -> Result<(), Error> {
    fs_err::write(path, format!("#!/bin/sh\n{body}"))?;
    Ok(fs_err::set_permissions(path, PermissionsExt::from_mode(0o755))?)
}

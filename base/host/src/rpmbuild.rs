//! `rpmbuild`: builds one SPEC in a build root (rpm.org, rpmbuild(1)).

use std::{collections::BTreeMap, io::Write as _, path::Path};

use keel_artefact::{Arch, Epoch, Interrupt};
use keel_sandbox::{Exit, Output, Run, Sandbox, Stdin};

use crate::Error;

/// One build. `/build` holds `SPECS`, `SOURCES` and the rest of `%_topdir`.
#[derive(Debug)]
pub struct Request<'a> {
    /// The SPEC, inside.
    pub spec: String,
    /// The architecture to build for.
    pub arch: Arch,
    /// Macros to define.
    pub defines: &'a BTreeMap<String, String>,
    /// Macros to undefine.
    pub undefines: &'a [String],
    /// What it is to make.
    pub what: What,
    /// Leave `%check` out.
    pub skip_check: bool,
    /// Processes at once.
    pub cores: usize,
    /// The clock of the sources.
    pub source_date_epoch: Epoch,
    /// Build under another clock, host name, user, locale, time zone and umask: nothing of that may reach a package.
    pub other_surroundings: bool,
}

/// What rpmbuild is to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// All packages. If the SPEC has `%generate_buildrequires`, that runs for the source package, too, which says what it prints.
    Packages {
        /// It has.
        generates: bool,
    },
    /// The source package alone, without what `%generate_buildrequires` would say.
    Source,
    /// A package that says what `%generate_buildrequires` prints, and ends with the code [`GENERATED`].
    Generated,
}

/// `rpmbuild -bd` ends so when it wrote what it was asked for.
pub const GENERATED: i32 = 11;

/// What a build says beyond this is not kept.
const LARGEST_LOG: u64 = 1 << 30;

/// Runs the build, with all it says in the file `log`. `on_phase` hears `%prep`, `%build` and so on as they begin.
pub fn run(
    sandbox: &Sandbox,
    request: &Request<'_>,
    log: &Path,
    on_phase: &mut dyn FnMut(&str),
    interrupt: &Interrupt,
) -> Result<Exit, Error> {
    let sandbox = surrounded(sandbox, request);
    let mut file = std::io::BufWriter::new(fs_err::File::create(log)?);
    let (mut written, mut size) = (Ok(()), 0);
    let mut on_line = |line: &[u8]| {
        if let Some(phase) = phase(line) {
            on_phase(phase);
        }
        let before = size;
        size += line.len() as u64 + 1;
        if before < LARGEST_LOG && size >= LARGEST_LOG && written.is_ok() {
            written = file.write_all(b"... it says more than a log may hold\n");
        }
        if written.is_ok() && size < LARGEST_LOG {
            written = file.write_all(line).and_then(|()| file.write_all(b"\n"));
        }
    };
    let run = Run {
        argv: command(request),
        stdin: Stdin::Null,
        stdout: Output::Lines(&mut on_line),
        stderr: Output::WithStdout,
    };
    let exit = keel_sandbox::run(&sandbox, run, interrupt)?;
    written?;
    file.flush()?;
    Ok(exit)
}

/// The phase that a line of rpmbuild's output announces: `Executing(%build): /bin/sh -e /var/tmp/rpm-tmp.XXXXXX`. Only that form counts, so that
/// what a build prints by chance is none.
pub fn phase(line: &[u8]) -> Option<&str> {
    let line = std::str::from_utf8(line).ok()?;
    let (phase, command) = line.strip_prefix("Executing(")?.split_once("): ")?;
    let (program, script) = (command.split(' ').next()?, command.rsplit(' ').next()?);
    // Where it is, `%_tmppath` says, which a distribution may set.
    let (folder, script) = script.rsplit_once("/rpm-tmp.")?;
    let is_name = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let is_phase = phase.strip_prefix('%').is_some_and(|name| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    });
    (is_phase && program.starts_with('/') && folder.starts_with('/') && is_name(script)).then_some(phase)
}

/// The sandbox with the environment of the build.
pub fn surrounded(sandbox: &Sandbox, request: &Request<'_>) -> Sandbox {
    let mut sandbox = sandbox.clone();
    sandbox.env = environment(request);
    if request.other_surroundings {
        sandbox.hostname = "elsewhere.example".to_owned();
        sandbox.limits.cpus = Some(1);
    }
    sandbox
}

/// How rpmbuild is called, inside.
pub fn command(request: &Request<'_>) -> Vec<String> {
    // Two runs and not `-ba`: that writes the digest of the source package into the others (SOURCEPKGID), so that a
    // change of a comment would change every package.
    let before = if request.other_surroundings {
        format!("umask 002; {}", other_clock())
    } else {
        "umask 022".to_owned()
    };
    let binaries = "rpmbuild -bb --nodeps \"$@\"";
    let make = match request.what {
        What::Packages { generates: false } => format!("{binaries} && exec rpmbuild -bs --nodeps \"$@\""),
        // With `--nodeps` there would be no source package, but a list of what it requires. No database is no obstacle: nothing is
        // looked up, as what is required is what the root was made of.
        What::Packages { generates: true } => {
            format!("{binaries} && exec rpmbuild -br --define '_dbpath /nonexistent' \"$@\"")
        }
        What::Source => "exec rpmbuild -bs --nodeps \"$@\"".to_owned(),
        What::Generated => "exec rpmbuild -bd --nodeps \"$@\"".to_owned(),
    };
    let script = format!("{before}; {make}");
    let mut argv: Vec<String> = ["/bin/sh", "-c", &script, "rpmbuild"].map(str::to_owned).into();
    argv.push("--noclean".to_owned());
    argv.push(format!("--target={}-linux", request.arch));
    let mut define =
        |name: &str, value: &str| argv.extend(["--define".to_owned(), format!("{name} {value}")]);
    define("_topdir", "/build");
    define("_smp_build_ncpus", &request.cores.to_string());
    define("_smp_ncpus_max", "0");
    if request.what == What::Source {
        // Whatever the distribution's macros say: nothing else would tell two source packages apart.
        define("use_source_date_epoch_as_buildtime", "1");
    }
    for (name, value) in request.defines {
        define(name, value);
    }
    for name in request.undefines {
        argv.extend(["--undefine".to_owned(), name.clone()]);
    }
    if request.skip_check {
        argv.push("--nocheck".to_owned());
    }
    argv.push(request.spec.clone());
    argv
}

/// Shell commands that set the clock 400 days forward for what follows, or fail: libfaketime (faketime(1)) comes before
/// libc in every dynamic program. Times of files stay true, since packages keep those that are older than the epoch. `touch` would set
/// the other time all the same, and make finds what it touched newer than all that is made later, for ever (glibc): it runs without,
/// where it is called by its name. What asks the kernel for its own time (`cmake -E touch`) has the true one.
fn other_clock() -> String {
    let set = "now=$(date +%s); LD_PRELOAD=/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1 FAKETIME=+400d \
               NO_FAKE_STAT=1 FAKETIME_DONT_FAKE_MONOTONIC=1; \
               export LD_PRELOAD FAKETIME NO_FAKE_STAT FAKETIME_DONT_FAKE_MONOTONIC";
    let check = "test $(date +%s) -gt $((now + 390 * 86400)) || { \
                 echo 'the clock cannot be changed: stage0 needs the package faketime'; exit 1; }";
    let touch = r#"mkdir /tmp/true-times && printf '#!/bin/sh\nunset LD_PRELOAD\nexec /usr/bin/touch "$@"\n' > /tmp/true-times/touch && \
                   chmod 755 /tmp/true-times/touch || exit 1; PATH=/tmp/true-times:$PATH"#;
    format!("{set}; {check}; {touch}")
}

fn environment(request: &Request<'_>) -> BTreeMap<String, String> {
    let cores = request.cores.to_string();
    let (user, locale, zone) = if request.other_surroundings {
        ("somebody", "fr_CH.UTF-8", "Pacific/Chatham")
    } else {
        ("builder", "C.UTF-8", "UTC")
    };
    let epoch = request.source_date_epoch.0.to_string();
    let pairs = [
        ("HOME", "/build"),
        ("PATH", "/usr/bin:/usr/sbin"),
        ("LANG", locale),
        ("LC_ALL", locale),
        ("TZ", zone),
        ("USER", user),
        ("LOGNAME", user),
        ("SOURCE_DATE_EPOCH", &epoch),
        ("RPM_BUILD_NCPUS", &cores),
        ("TERM", "dumb"),
    ];
    pairs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_are_recognised() {
        for (line, expected) in [
            ("Executing(%prep): /bin/sh -e /var/tmp/rpm-tmp.x", Some("%prep")),
            (
                "Executing(%generate_buildrequires): /bin/sh -e /var/tmp/rpm-tmp.Ab3",
                Some("%generate_buildrequires"),
            ),
            ("Executing(%install): /bin/sh", None),
            ("Executing(%check)", None),
            ("Executing(%check): all tests", None),
            (
                "Executing(%build): /bin/sh -e /tmp/of/ours/rpm-tmp.x",
                Some("%build"),
            ),
            ("Executing(%check): /var/tmp/rpm-tmp.", None),
            ("Executing(%check): /bin/sh -e rpm-tmp.x", None),
            ("Executing(check): /bin/sh -e /var/tmp/rpm-tmp.x", None),
            (" Executing(%check): /bin/sh -e /var/tmp/rpm-tmp.x", None),
            ("+ make", None),
            ("Executing(", None),
        ] {
            assert_eq!(phase(line.as_bytes()), expected, "{line}");
        }
    }
}

//! `rpmspec`: what rpm makes of SPECs (rpm.org, rpmspec(8)). Many SPECs are one start of the sandbox.
//!
//! A SPEC may run commands while it is read (`%(…)`): so all of it happens inside, without network, on read-only files,
//! with limits of time, memory and output.

use std::{collections::BTreeMap, fmt::Write as _, path::Path, time::Duration};

use keel_artefact::{Arch, Interrupt, RootPath};
use keel_sandbox::{Output, Run, Sandbox, Stdin};

use crate::{Error, Program, stage0::Stage0};

/// Asked for as many SPECs at once.
const SHARDS: usize = 4;
/// For one question about one SPEC.
const SECONDS_EACH: u32 = 30;
/// Of all answers together, in bytes.
const MOST_OUTPUT: usize = 64 << 20;
/// Data of one process, in bytes.
const MOST_MEMORY: u64 = 2 << 30;

/// One SPEC to be read.
#[derive(Debug, Clone)]
pub struct Request {
    /// The SPEC, inside. The files beside it are its sources.
    pub spec: RootPath,
    /// The architecture to read it for.
    pub arch: Arch,
    /// Macros to define.
    pub defines: BTreeMap<String, String>,
    /// Macros to undefine.
    pub undefines: Vec<String>,
}

/// What rpm says about one SPEC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The source package, in the source format given.
    pub source: Reply,
    /// The binary packages, in the binary format given.
    pub binaries: Reply,
    /// The SPEC with all macros expanded.
    pub expanded: Reply,
}

/// What one run of rpmspec did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Its exit code; 124 when its time was up.
    pub code: i32,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

/// The answers to `requests`, in their order. `layer` is laid over stage0's tools: it holds the SPECs, what lies
/// beside them and macro files, readable by everybody. `source_format` and `binary_format` are rpm's query formats.
pub fn query(
    stage0: &Stage0,
    layer: &Path,
    requests: &[Request],
    source_format: &str,
    binary_format: &str,
    interrupt: &Interrupt,
) -> Result<Vec<Answer>, Error> {
    let mut lowers = vec![layer.to_owned()];
    lowers.extend(stage0.tool_lowers());
    let mut sandbox = Sandbox::new(lowers);
    let environment = [
        ("HOME", "/tmp"),
        ("PATH", "/usr/bin:/usr/sbin"),
        ("LANG", "C.UTF-8"),
        ("TZ", "UTC"),
    ];
    sandbox.env = environment
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    sandbox.limits.memory = Some(MOST_MEMORY);
    sandbox.limits.processes = Some(1000);
    sandbox.limits.file_size = Some(MOST_OUTPUT as u64);
    let each = u64::from(SECONDS_EACH) * 3;
    sandbox.limits.wall = Some(Duration::from_secs(10 + each * requests.len() as u64));
    let script = script(requests, source_format, binary_format);
    let run = Run {
        argv: ["sh", "-c", "cat > /tmp/script && exec sh /tmp/script"]
            .map(str::to_owned)
            .into(),
        stdin: Stdin::Bytes(script.into_bytes()),
        stdout: Output::Capture { limit: MOST_OUTPUT },
        stderr: Output::Tail { limit: 64 << 10 },
    };
    let exit = keel_sandbox::run(&sandbox, run, interrupt)?;
    match answers(&exit.stdout, requests.len()) {
        Some(answers) if exit.success() => Ok(answers),
        _ => Err(Error::failed(Program::Rpmspec, &exit)),
    }
}

/// The script that asks: for each request in order a line of nine numbers (an exit code and the lengths of
/// stdout and stderr, thrice), and then the six texts.
///
/// Needs `rpmspec`, a POSIX shell and coreutils, and a writable `/tmp`.
pub fn script(requests: &[Request], source_format: &str, binary_format: &str) -> String {
    let mut script = String::from(
        "set -f\nd=$(mktemp -d /tmp/rpmspec.XXXXXX) || exit 1\n\
         ask() { o=$1; shift; timeout -k 5 \"$seconds\" rpmspec \"$@\" >\"$o.o\" 2>\"$o.e\" </dev/null; eval \"c$q=$?\"; }\n\
         tell() { set -- $(stat -c %s \"$t.1.o\" \"$t.1.e\" \"$t.2.o\" \"$t.2.e\" \"$t.3.o\" \"$t.3.e\")\n\
         echo \"$c1 $1 $2 $c2 $3 $4 $c3 $5 $6\"; cat \"$t.1.o\" \"$t.1.e\" \"$t.2.o\" \"$t.2.e\" \"$t.3.o\" \"$t.3.e\"; }\n",
    );
    let _ = writeln!(script, "seconds={SECONDS_EACH}");
    let shards = SHARDS.min(requests.len());
    for shard in 0..shards {
        script.push_str("(\n");
        for (index, request) in requests
            .iter()
            .enumerate()
            .filter(|(index, _)| index % shards == shard)
        {
            let options = options(request);
            let (source_format, binary_format) = (quote(source_format), quote(binary_format));
            let _ = writeln!(script, "t=$d/{index}");
            let _ = writeln!(script, "q=1; ask $t.1 -q --srpm --qf {source_format} {options}");
            let _ = writeln!(
                script,
                "q=2; ask $t.2 -q --builtrpms --qf {binary_format} {options}"
            );
            let _ = writeln!(script, "q=3; ask $t.3 -P {options}");
            let _ = writeln!(script, "tell > $t.answer");
        }
        script.push_str(") &\n");
    }
    script.push_str("wait\n");
    for index in 0..requests.len() {
        let _ = writeln!(script, "cat $d/{index}.answer || exit 1");
    }
    script.push_str("rm -rf \"$d\"\n");
    script
}

fn options(request: &Request) -> String {
    let folder = request.spec.parent().unwrap_or_else(RootPath::root);
    let mut words = vec![format!("--target={}-linux", request.arch)];
    let mut define = |name: &str, value: &str| {
        words.push("--define".to_owned());
        words.push(quote(&format!("{name} {value}")));
    };
    define("_sourcedir", folder.as_str());
    define("_specdir", folder.as_str());
    for (name, value) in &request.defines {
        define(name, value);
    }
    for name in &request.undefines {
        words.push("--undefine".to_owned());
        words.push(quote(name));
    }
    words.push(quote(request.spec.as_str()));
    words.join(" ")
}

/// One word of a POSIX shell.
fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// The answers in the output of [`script`]; none if it is not whole.
pub fn answers(output: &[u8], count: usize) -> Option<Vec<Answer>> {
    let mut rest = output;
    let mut answers = Vec::new();
    for _ in 0..count {
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        let numbers = std::str::from_utf8(&rest[..end]).ok()?;
        let numbers: Vec<usize> = numbers
            .split(' ')
            .map(str::parse)
            .collect::<Result<_, _>>()
            .ok()?;
        rest = &rest[end + 1..];
        let mut replies = Vec::new();
        for part in numbers.chunks_exact(3) {
            let mut text = |length: usize| -> Option<String> {
                let (text, after) = rest.split_at_checked(length)?;
                rest = after;
                Some(String::from_utf8_lossy(text).into_owned())
            };
            let (stdout, stderr) = (text(part[1])?, text(part[2])?);
            replies.push(Reply {
                code: i32::try_from(part[0]).ok()?,
                stdout,
                stderr,
            });
        }
        let [source, binaries, expanded] = <[Reply; 3]>::try_from(replies).ok()?;
        answers.push(Answer {
            source,
            binaries,
            expanded,
        });
    }
    rest.is_empty().then_some(answers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_framed_by_their_lengths() {
        let output = b"0 3 0 1 0 2 0 0 0\na\nbe!0 0 0 0 0 0 0 0 0\n";
        let answers = super::answers(output, 2).unwrap();
        assert_eq!(
            answers[0].source,
            Reply {
                code: 0,
                stdout: "a\nb".into(),
                stderr: String::new()
            }
        );
        assert_eq!(
            answers[0].binaries,
            Reply {
                code: 1,
                stdout: String::new(),
                stderr: "e!".into()
            }
        );
        for bad in [
            &output[..output.len() - 1],
            b"",
            b"0 9 0 0 0 0 0 0 0\n",
            b"0 0\n",
            b"x\n",
        ] {
            assert_eq!(super::answers(bad, 2), None);
        }
    }

    #[test]
    fn words_are_quoted_for_the_shell() {
        let request = Request {
            spec: "/keel/specs/a/a.spec".parse().unwrap(),
            arch: Arch::X86_64,
            defines: BTreeMap::from([("x".to_owned(), "it's $HOME".to_owned())]),
            undefines: vec!["y".to_owned()],
        };
        assert_eq!(
            options(&request),
            "--target=x86_64-linux --define '_sourcedir /keel/specs/a' --define '_specdir /keel/specs/a' \
             --define 'x it'\\''s $HOME' --undefine 'y' '/keel/specs/a/a.spec'"
        );
    }
}

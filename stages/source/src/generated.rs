//! Files that a program of the tree makes: it runs in a sandbox over the borrowed tools, without a network, and sees its
//! inputs alone.
//!
//! In the sandbox, `/inputs` holds the program and its inputs under their plain names, and is where it starts. What it leaves
//! in `/azldev-gen/output` (azldev's contract; `$OUTPUT` says it) is the result: the file of the wanted name if that is all,
//! or else all of it, packed as the archive that the name says: sorted, times and owners 0.

use std::{
    fs::Permissions,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use keel_artefact::RootPath;
use keel_sandbox::{Bind, Limits, Run, Sandbox, Status};
use keel_spec::overlay::archive;
use keel_store::{Store, TempDir};

use crate::{Answer, download, http::Client, origin::Generated};

/// What the result is called in the folder that [`make`] gives.
pub(crate) const RESULT: &str = "result";
/// Where a program leaves what it makes.
const OUTPUT: &str = "/azldev-gen/output";
/// How much it may make, in bytes of one file.
const MOST_BYTES: u64 = 4 << 30;

/// Why a program of the tree made nothing.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// There is nothing to run it in.
    #[error("there is no stage0 to run `{program}` in")]
    NoTools {
        /// The program.
        program: PathBuf,
    },
    /// A file that it needs.
    #[error("{path} cannot be read")]
    Input {
        /// The program, or one of its inputs.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It failed.
    #[error("`{program}` failed ({status}){said}")]
    Failed {
        /// The program.
        program: PathBuf,
        /// How it ended.
        status: Status,
        /// Its last words.
        said: String,
    },
    /// It made nothing.
    #[error("`{program}` left nothing in {OUTPUT}")]
    Nothing {
        /// The program.
        program: PathBuf,
    },
    /// It made what cannot be packed.
    #[error("`{program}` made no file `{wanted}`, and what it made cannot become one")]
    Other {
        /// The program.
        program: PathBuf,
        /// The wanted file.
        wanted: String,
        /// Why not.
        source: std::io::Error,
    },
}

/// Runs the program; what it made is a file in a scratch folder.
pub(crate) fn make(
    client: &Client<'_>,
    store: &Store,
    root: &Path,
    origin: &Generated,
    file_name: &str,
) -> Result<TempDir, download::Error> {
    let wrong = |problem: Problem| download::Error::from(Answer::Generated(Box::new(problem)));
    let program = origin.program.clone();
    if client.options.tools.is_empty() {
        return Err(wrong(Problem::NoTools { program }));
    }
    let scratch = store.temp_dir("generated")?;
    let (inputs, output) = (scratch.path().join("inputs"), scratch.path().join("output"));
    fs_err::create_dir(&inputs)?;
    fs_err::create_dir(&output)?;
    for file in std::iter::once(&origin.program).chain(&origin.inputs) {
        let path = root.join(file);
        let copied = match path.file_name() {
            Some(name) => fs_err::copy(&path, inputs.join(name)).map(drop),
            None => Err(std::io::ErrorKind::InvalidInput.into()),
        };
        copied.map_err(|source| wrong(Problem::Input { path, source }))?;
    }
    let name = program
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    fs_err::set_permissions(inputs.join(&name), Permissions::from_mode(0o755))?;
    keel_sandbox::hand_over(&output).map_err(|error| std::io::Error::other(error.to_string()))?;
    let ran = keel_sandbox::run(
        &sandbox(client, &inputs, &output),
        Run::captured([format!("/inputs/{name}")]),
        client.interrupt,
    );
    client.interrupt.check()?;
    let exit = ran.map_err(|error| std::io::Error::other(error.to_string()))?;
    if !exit.success() {
        let text = String::from_utf8_lossy(&[exit.stdout, exit.stderr].concat()).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        let last = lines[lines.len().saturating_sub(12)..].iter();
        let mut said: String = last.map(|line| format!("\n    {line}")).collect();
        if !origin.packages.is_empty() {
            let packages = origin.packages.join(", ");
            said = format!(
                "{said}\n    it asks for {packages}: `keel.stage0.packages` must have what stands for them"
            );
        }
        return Err(wrong(Problem::Failed {
            program,
            status: exit.status,
            said,
        }));
    }
    let result = scratch.path().join(RESULT);
    let mut names = Vec::new();
    for entry in fs_err::read_dir(&output)? {
        names.push(entry?.file_name());
    }
    let is_wanted = |path: &Path| path.symlink_metadata().is_ok_and(|metadata| metadata.is_file());
    match &names[..] {
        [] => return Err(wrong(Problem::Nothing { program })),
        [one] if one == file_name && is_wanted(&output.join(one)) => {
            fs_err::copy(output.join(one), &result)?;
        }
        _ => archive::pack(&output, file_name, &result).map_err(|source| {
            wrong(Problem::Other {
                program,
                wanted: file_name.to_owned(),
                source,
            })
        })?,
    }
    Ok(scratch)
}

fn sandbox(client: &Client<'_>, inputs: &Path, output: &Path) -> Sandbox {
    let path = |text: &str| -> RootPath { text.parse().expect("a constant root path") };
    let mut sandbox = Sandbox::new(client.options.tools.clone());
    sandbox.cwd = path("/inputs");
    for (host, guest, writable) in [(inputs, "/inputs", false), (output, OUTPUT, true)] {
        sandbox.binds.push(Bind {
            host: host.to_owned(),
            guest: path(guest),
            writable,
        });
    }
    for (name, value) in [
        ("HOME", "/tmp"),
        ("LC_ALL", "C.UTF-8"),
        ("TZ", "UTC"),
        ("SOURCE_DATE_EPOCH", "0"),
        ("OUTPUT", OUTPUT),
    ] {
        sandbox.env.insert(name.to_owned(), value.to_owned());
    }
    sandbox.limits = Limits {
        wall: Some(client.limits.total.min(Duration::from_secs(1800))),
        file_size: Some(MOST_BYTES),
        ..Limits::default()
    };
    sandbox
}

//! `diffoscope`: what differs between two files (diffoscope(1)).

use std::{
    path::Path,
    process::{Command, Stdio},
};

use crate::{Error, Program};

/// How long it may take for two files, in seconds.
const PATIENCE: &str = "600";

/// Writes what differs between two files, as text, into a third. False if it could not tell, or took too long.
pub fn explain(first: &Path, second: &Path, into: &Path) -> Result<bool, Error> {
    let program = Program::Diffoscope.find()?;
    // It starts many others: timeout(1) ends them all.
    let status = Command::new(Program::Timeout.find()?)
        .arg(PATIENCE)
        .arg(&program)
        .arg("--text")
        .args([into, first, second])
        .env("PATH", "/usr/bin:/usr/sbin:/bin:/sbin")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .map_err(|source| Error::Start {
            program: Program::Diffoscope.name(),
            source,
        })?;
    // 1: they differ.
    Ok(status.code() == Some(1) && into.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_named_with_its_package() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| dir.path().join(name);
        fs_err::write(file("a"), "1\n").unwrap();
        fs_err::write(file("b"), "2\n").unwrap();
        match explain(&file("a"), &file("b"), &file("told")) {
            Ok(told) => {
                assert!(told);
                let text = fs_err::read_to_string(file("told")).unwrap();
                assert!(text.contains("-1") && text.contains("+2"), "{text}");
            }
            Err(error) => assert!(error.to_string().contains("diffoscope"), "{error}"),
        }
    }
}

//! `keel completions` and `keel man`: made from the same table as the help.

use std::{io::Write as _, path::Path};

use clap::CommandFactory as _;

use crate::{args::Cli, failure::Failure, report};

/// Prints a completion script.
pub fn completions(shell: clap_complete::Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "keel", &mut script);
    report::line(&String::from_utf8_lossy(&script))
}

/// Prints the manual page of `keel`, or writes all pages into `dir`.
pub fn pages(dir: Option<&Path>) -> Result<(), Failure> {
    let Some(dir) = dir else {
        let mut page = Vec::new();
        clap_mangen::Man::new(Cli::command()).render(&mut page)?;
        page.flush()?;
        return report::line(&String::from_utf8_lossy(&page));
    };
    fs_err::create_dir_all(dir)?;
    clap_mangen::generate_to(Cli::command(), dir)?;
    Ok(())
}

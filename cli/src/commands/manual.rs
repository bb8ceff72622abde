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

#[cfg(test)]
mod tests {
    use clap::{Command, CommandFactory as _};

    use crate::args::Cli;

    const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/cli.md");
    const TOP: &str = "# The command line\n\n\
        This is what `keel --help` and `keel COMMAND --help` say, on one page. It is made by\n\
        `KEEL_UPDATE_REFERENCE=1 cargo test -p keel-cli reference`, and a test keeps it current.\n";

    /// Help of a command and of those below it, without the options that all commands share.
    fn describe(command: &Command, name: &str, page: &mut String) {
        let mut shown = command
            .clone()
            .bin_name(name)
            .term_width(100)
            .disable_help_flag(true)
            .mut_args(|arg| arg.hide_env_values(true));
        let help = shown.render_long_help().to_string();
        let lines: Vec<&str> = help.trim().lines().map(str::trim_end).collect();
        page.push_str(&format!("\n## `{name}`\n\n```text\n{}\n```\n", lines.join("\n")));
        for below in command.get_subcommands() {
            describe(below, &format!("{name} {}", below.get_name()), page);
        }
    }

    #[test]
    fn the_reference_is_what_the_help_says() {
        let mut page = TOP.to_owned();
        describe(&Cli::command(), "keel", &mut page);
        if std::env::var_os("KEEL_UPDATE_REFERENCE").is_some() {
            fs_err::write(PAGE, &page).unwrap();
        }
        let written = fs_err::read_to_string(PAGE).unwrap_or_default();
        assert!(
            written == page,
            "docs/reference/cli.md is not current: KEEL_UPDATE_REFERENCE=1 cargo test -p keel-cli reference"
        );
    }
}

//! Finding the lines of a build's log that say what is wrong.

/// At most 12 lines: errors of compilers, linkers, make and rpmbuild in the order of the log, or its last lines where
/// there are none.
pub fn lines_that_matter(log: &str) -> Vec<String> {
    const MOST: usize = 12;
    let lines: Vec<&str> = log.lines().collect();
    let is_error = |line: &&str| {
        let lower = line.to_ascii_lowercase();
        let tells = [
            ": error:",
            "fatal error:",
            "error: ",
            "undefined reference",
            "*** ",
            "no such file or directory",
            "no space left on device",
            "command not found",
            "traceback (most recent",
            "configure: error",
            "meson.build:",
            "assertion failed",
        ];
        // rpmbuild's own last word names a file that is gone.
        let is_last_word = line.starts_with("error: Bad exit status from");
        tells.iter().any(|tell| lower.contains(tell)) && !line.starts_with('+') && !is_last_word
    };
    // rpmbuild repeats the error at the end, under its own heading.
    let own = lines
        .iter()
        .position(|line| line.starts_with("RPM build errors:"))
        .unwrap_or(lines.len());
    let mut chosen: Vec<&str> = Vec::new();
    let mut lists_files = false;
    for line in lines[..own].iter().copied() {
        // The files that rpmbuild means stand in lines of their own.
        lists_files &= line.starts_with("   /");
        if lists_files || is_error(&line) {
            chosen.push(line);
        }
        lists_files |= line.contains("Installed (but unpackaged) file(s) found:");
    }
    chosen.dedup();
    if chosen.is_empty() {
        let from = own.saturating_sub(MOST);
        chosen = lines[from..own].to_vec();
    }
    // The first errors are causes, the last ones say where it stopped.
    if chosen.len() > MOST {
        chosen.drain(MOST - 4..chosen.len() - 4);
    }
    chosen.into_iter().map(shorten).collect()
}

/// The phase that failed, if `last` is the last one that began: rpmbuild looks at `%files` when all scripts are done.
pub fn phase(log: &str, last: String) -> String {
    let of_files = [
        "error: Installed (but unpackaged) file(s) found:",
        "error: File not found:",
        "error: Directory not found:",
    ];
    match log
        .lines()
        .any(|line| of_files.iter().any(|start| line.starts_with(start)))
    {
        true => "%files".to_owned(),
        false => last,
    }
}

fn shorten(line: &str) -> String {
    const WIDEST: usize = 200;
    match line.char_indices().nth(WIDEST) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_found_and_the_tail_is_the_fallback() {
        let log = "+ make\ncc -c a.c\na.c:3:5: error: expected ';'\nmake: *** [a.o] Error 1\nerror: Bad exit status from /var/tmp/rpm-tmp.x (%build)\n\n\
                   RPM build errors:\n    Bad exit status";
        let found = lines_that_matter(log);
        assert_eq!(found, ["a.c:3:5: error: expected ';'", "make: *** [a.o] Error 1"]);
        assert_eq!(
            lines_that_matter("one\ntwo\nRPM build errors:\n x"),
            ["one", "two"]
        );
        assert!(lines_that_matter("").is_empty());
        let log = "Executing(%license): /bin/sh\nerror: Installed (but unpackaged) file(s) found:\n   /usr/a\n   /usr/b\nx\n   /no\n";
        let found = lines_that_matter(log);
        let expected = [
            "error: Installed (but unpackaged) file(s) found:",
            "   /usr/a",
            "   /usr/b",
        ];
        assert_eq!(found, expected);
        assert_eq!(phase(log, "%license".to_owned()), "%files");
        assert_eq!(phase("error: x", "%build".to_owned()), "%build");
    }
}

//! The test agent: how checks are run inside an image that carries nothing of it.
//!
//! ## Transport
//!
//! A virtio serial port named `keel.test` (`/sys/class/virtio-ports/*/name`), lines of text ending in `\n`.
//!
//! | from | line | meaning |
//! |---|---|---|
//! | guest | `ready` | the system is up (multi-user.target), commands may come |
//! | host | `poweroff` | end the machine |
//! | host | any other line | a command for `/bin/sh -c`, standard input empty |
//! | guest | any lines | what the command writes, both streams, as it is |
//! | guest | `exit N` | the command is over, with code N |
//!
//! One command at a time. An agent needs no more than a shell, so an `init` without systemd can speak it too.
//!
//! A check may write anything, such as a line `exit 0` of its own, or no newline at its end. So the host never relies on
//! `exit N`: it sends each check wrapped ([`wrapped`]), and the wrapper ends with a line that only it knows.
//!
//! ## How it gets in
//!
//! Into an image with systemd: two credentials (systemd-debug-generator(8), systemd ≥ 256), handed over by the
//! machine (QEMU's fw_cfg), see [`credentials`]. systemd makes a unit of the first, and `multi-user.target` wants it
//! by the second. Whoever does not control the machine cannot do that.

/// The name of the port.
pub const PORT: &str = "keel.test";

/// The agent, in one line of POSIX shell without backslashes and single quotes.
const SCRIPT: &str = r#"for p in /sys/class/virtio-ports/*; do read -r n < $p/name; if [ "$n" = keel.test ]; then port=/dev/${p##*/}; fi; done; exec 3<>$port; echo ready >&3; while :; do if IFS= read -r line <&3; then if [ "$line" = poweroff ]; then systemctl poweroff; exit 0; fi; /bin/sh -c "$line" </dev/null >&3 2>&1; echo exit $? >&3; else sleep 1; fi; done"#;

/// Credentials that put the agent into a systemd that takes them: name and content.
pub fn credentials() -> [(&'static str, String); 2] {
    // In a unit `%` and `$` are special (systemd.unit(5), systemd.service(5)).
    let script = SCRIPT.replace('%', "%%").replace('$', "$$");
    // Without default dependencies, so that the target does not wait for the agent but the agent for the target.
    let unit = format!(
        "[Unit]\nDescription=Keel test agent\nDefaultDependencies=no\nAfter=multi-user.target\n\
         Conflicts=shutdown.target\nBefore=shutdown.target\n\
         [Service]\nEnvironment=PATH=/usr/bin:/usr/sbin HOME=/root\nExecStart=/bin/sh -c '{script}'\n"
    );
    [
        ("systemd.extra-unit.keel-test.service", unit),
        (
            "systemd.unit-dropin.multi-user.target",
            "[Unit]\nWants=keel-test.service\n".to_owned(),
        ),
    ]
}

/// A check as one line for the agent. `number` tells it from others.
pub fn wrapped(number: usize, check: &str) -> String {
    let quote = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
    let command = match check.contains('\n') {
        // One line on the wire: printf makes the newlines again.
        true => format!(
            "\"$(printf %b {})\"",
            quote(&check.replace('\\', r"\\").replace('\n', r"\n"))
        ),
        false => quote(check),
    };
    // The echo in front ends an unfinished last line.
    format!("/bin/sh -c {command}; c=$?; echo; echo {} $c", mark(number))
}

fn mark(number: usize) -> String {
    format!("keel-check-{number}-is-over")
}

/// What a check has written, line by line, until its end.
#[derive(Debug)]
pub struct Output {
    mark: String,
    lines: Vec<String>,
    size: usize,
}

/// More than this is cut at its start.
const OUTPUT_LIMIT: usize = 64 * 1024;

impl Output {
    /// Of the check with this number.
    pub fn new(number: usize) -> Self {
        Self {
            mark: mark(number),
            lines: Vec::new(),
            size: 0,
        }
    }

    /// Takes a line; gives the check's exit code once it is over.
    pub fn line(&mut self, line: &str) -> Option<i32> {
        if let Some(code) = line.strip_prefix(&self.mark) {
            return Some(code.trim().parse().unwrap_or(-1));
        }
        self.size += line.len() + 1;
        self.lines.push(line.to_owned());
        while self.size > OUTPUT_LIMIT && self.lines.len() > 1 {
            self.size -= self.lines.remove(0).len() + 1;
        }
        None
    }

    /// All lines, without the wrapper's empty one.
    pub fn text(mut self) -> String {
        if self.lines.last().is_some_and(String::is_empty) {
            self.lines.pop();
        }
        let mut text = self.lines.join("\n");
        if text.len() > OUTPUT_LIMIT {
            let start = (text.len() - OUTPUT_LIMIT..text.len()).find(|at| text.is_char_boundary(*at));
            text = text.split_off(start.unwrap_or(0));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Runs a wrapped check as the agent would, with the shell of this machine.
    fn run(check: &str) -> (i32, String) {
        let line = wrapped(7, check);
        assert!(!line.contains('\n'), "{line}");
        let output = Command::new("/bin/sh").args(["-c", &line]).output().unwrap();
        let mut result = Output::new(7);
        let code = String::from_utf8(output.stdout)
            .unwrap()
            .lines()
            .find_map(|line| result.line(line));
        (code.unwrap(), result.text())
    }

    #[test]
    fn any_check_arrives_and_ends() {
        for (check, code, output) in [
            ("true", 0, ""),
            ("false", 1, ""),
            ("echo hi", 0, "hi"),
            ("printf 'no end'", 0, "no end"),
            ("echo 'exit 0'; exit 3", 3, "exit 0"),
            ("echo \"it's\" $((1+1)) \\\\ # comment", 0, "it's 2 \\"),
            ("echo a\necho 'b c'\n[ 1 = 2 ]", 1, "a\nb c"),
            ("if", 2, ""),
            ("kill -9 $$", 137, ""),
        ] {
            let (found, text) = run(check);
            assert_eq!(found, code, "{check}");
            assert_eq!(text, output, "{check}");
        }
    }

    #[test]
    fn output_is_bounded() {
        let mut output = Output::new(1);
        for _ in 0..100_000 {
            assert_eq!(output.line("0123456789"), None);
        }
        assert!(output.text().len() <= OUTPUT_LIMIT);
    }

    #[test]
    fn the_unit_holds_the_script_whole() {
        assert!(
            !SCRIPT.contains(['\'', '\\', '\n']),
            "these need more quoting than `credentials` does"
        );
        let [(_, unit), _] = credentials();
        let line = unit
            .lines()
            .find_map(|line| line.strip_prefix("ExecStart=/bin/sh -c '"))
            .unwrap();
        assert_eq!(
            line.strip_suffix('\'')
                .unwrap()
                .replace("$$", "$")
                .replace("%%", "%"),
            SCRIPT
        );
    }
}

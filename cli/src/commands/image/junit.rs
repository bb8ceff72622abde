//! What `keel image test` found, as the XML that JUnit's runner began and CI systems show: a suite for each boot, a case for each check.

use std::{error::Error as _, fmt::Write as _};

use keel_image::{Error, boot::TestReport};
use quick_xml::escape::escape;

use crate::report;

/// `broken` is the boot that came to no end, by name, and why.
pub(super) fn write(reports: &[TestReport], broken: Option<&(String, Error)>) -> String {
    let mut text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n".to_owned();
    // Writing to a text does not fail.
    for report in reports {
        let name = escaped(&format!("{} ({})", report.image, report.mode));
        let failures = report.checks.iter().filter(|check| !check.passed()).count();
        let (tests, time) = (report.checks.len(), report.wall.as_secs_f64());
        let _ = writeln!(
            text,
            "  <testsuite name=\"{name}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" time=\"{time:.3}\">"
        );
        for check in &report.checks {
            let (case, time) = (escaped(&check.name), check.elapsed.as_secs_f64());
            let _ = write!(
                text,
                "    <testcase classname=\"{name}\" name=\"{case}\" time=\"{time:.3}\""
            );
            let output = escaped(&check.output);
            let _ = match check.passed() {
                true => writeln!(text, "/>"),
                false => writeln!(
                    text,
                    ">\n      <failure message=\"exit code {}\">{output}</failure>\n    </testcase>",
                    check.code
                ),
            };
        }
        text.push_str("  </testsuite>\n");
    }
    if let Some((name, error)) = broken {
        let (mut causes, mut cause) = (Vec::new(), error.source());
        while let Some(error) = cause {
            causes.push(error.to_string());
            cause = error.source();
        }
        let (name, error) = (escaped(name), escaped(&error.to_string()));
        let causes = escaped(&causes.join("\n"));
        let _ = writeln!(
            text,
            "  <testsuite name=\"{name}\" tests=\"1\" failures=\"0\" errors=\"1\">\n    <testcase classname=\"{name}\" name=\"boot\">\n      \
             <error message=\"{error}\">{causes}</error>\n    </testcase>\n  </testsuite>"
        );
    }
    text.push_str("</testsuites>\n");
    text
}

/// XML 1.0 has no words for most control characters.
fn escaped(text: &str) -> String {
    escape(report::harmless(text)).into_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use keel_image::boot::{CheckResult, Mode};

    use super::*;

    #[test]
    fn what_failed_is_told_and_read_back() {
        let check = |name: &str, code, output: &str| CheckResult {
            name: name.to_owned(),
            code,
            output: output.to_owned(),
            elapsed: Duration::from_millis(1500),
        };
        let report = TestReport {
            image: "vm".to_owned(),
            mode: Mode::Direct,
            ready: Duration::from_secs(5),
            wall: Duration::from_secs(6),
            memory_total: 2,
            memory_used: 1,
            disk_size: 3,
            cpus: 2,
            kvm: false,
            tree: keel_artefact::Sha256::of(b""),
            listening: None,
            checks: vec![
                check("good", 0, ""),
                check("a < b", 7, "\u{1b}[31m\"no\" & never\n"),
            ],
            console: "console.log".into(),
        };
        let error = Error::Tool {
            tool: "QEMU",
            image: "<vm>".to_owned(),
            source: "no <memory>".into(),
        };
        let text = write(&[report], Some(&("vm (uefi)".to_owned(), error)));
        let mut reader = quick_xml::Reader::from_str(&text);
        let (mut cases, mut said) = (Vec::new(), String::new());
        loop {
            use quick_xml::events::Event;
            match reader.read_event().unwrap() {
                Event::Eof => break,
                Event::Start(tag) | Event::Empty(tag) if tag.name().as_ref() == "testcase" => {
                    let name = tag.try_get_attribute("name").unwrap().unwrap();
                    cases.push(name.value.into_owned());
                }
                Event::Text(text) => said.push_str(&text),
                _ => {}
            }
        }
        assert_eq!(cases, ["good", "a &lt; b", "boot"]);
        assert!(
            text.contains("message=\"exit code 7\">\u{fffd}[31m&quot;no&quot; &amp; never\n</failure>"),
            "{text}"
        );
        assert!(text.contains("&lt;vm&gt;"), "{text}");
        assert!(text.contains("\">no &lt;memory&gt;</error>"), "{text}");
        assert!(said.contains("[31m"), "{said}");
    }
}

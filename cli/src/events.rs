//! `--events`: all that happens, as lines of JSON for programs. docs/reference/events.md says what is in them.

use std::{
    io::Write as _,
    path::Path,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use keel_artefact::{Event, event::Outcome};
use serde_json::{Value, json};

/// Texts are cut here, so that a line is written at once.
const LONGEST_TEXT: usize = 2000;

/// Where the lines go.
pub struct Events {
    out: Mutex<Out>,
}

enum Out {
    Stdout,
    /// A file, and how much of it is whole lines.
    File(fs_err::File, u64),
    /// Writing failed, which was told.
    Closed,
}

impl Events {
    /// `-` is standard output; a file is made anew.
    pub fn open(target: &Path) -> std::io::Result<Self> {
        let out = match target.to_str() {
            Some("-") => Out::Stdout,
            _ => Out::File(fs_err::File::create(target)?, 0),
        };
        Ok(Self { out: Mutex::new(out) })
    }

    /// Do they go where results go?
    pub fn take_stdout(&self) -> bool {
        matches!(*self.lock(), Out::Stdout)
    }

    /// Writes a line of the event, if it is told. An error is given once, with what is wrong.
    pub fn tell(&self, event: &Event<'_>) -> Option<String> {
        self.write(line_of(event)?)
    }

    /// Writes a line with a time. An error is given once.
    pub fn write(&self, mut line: Value) -> Option<String> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        line["time"] = seconds(now.unwrap_or_default());
        let bytes = format!("{line}\n").into_bytes();
        let mut out = self.lock();
        let written = match &mut *out {
            Out::Stdout => std::io::stdout().lock().write_all(&bytes),
            Out::File(file, whole) => {
                let written = file.write_all(&bytes);
                match &written {
                    Ok(()) => *whole += bytes.len() as u64,
                    // A full disk takes a part of it; whoever reads this reads whole lines.
                    Err(_) => drop(file.set_len(*whole)),
                }
                written
            }
            Out::Closed => Ok(()),
        };
        let error = written.err()?;
        *out = Out::Closed;
        // Whoever closes the pipe has seen enough.
        (error.kind() != std::io::ErrorKind::BrokenPipe)
            .then(|| format!("no more events are written: {error}"))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Out> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The event as an object, without its time; none for what happens many times a second.
fn line_of(event: &Event<'_>) -> Option<Value> {
    let of_work = |name: &str, id: &str, more: Value| {
        let (kind, subject) = id.split_once(':').unwrap_or(("", id));
        let mut line = json!({ "event": name, "kind": kind, "name": subject });
        if let (Value::Object(line), Value::Object(more)) = (&mut line, more) {
            line.extend(more);
        }
        line
    };
    let finished = |id: &str, outcome: &str, failures: usize, elapsed: Duration| {
        let more = json!({ "outcome": outcome, "failures": failures, "elapsed": seconds(elapsed) });
        of_work("finished", id, more)
    };
    Some(match event {
        Event::Stage { title } => json!({ "event": "stage", "title": title }),
        Event::Started { id, title, total } => {
            of_work("started", id, json!({ "title": title, "total": total }))
        }
        Event::Expected { id, time } => of_work("expected", id, json!({ "elapsed": seconds(*time) })),
        Event::Progress { .. } => return None,
        Event::Message { id, text } if id.starts_with("build:") && text.starts_with('%') => {
            of_work("phase", id, json!({ "phase": text }))
        }
        Event::Message { id, text } => of_work("message", id, json!({ "text": cut(text) })),
        Event::Finished { id, outcome, elapsed } => match outcome {
            Outcome::Done => finished(id, "done", 0, *elapsed),
            Outcome::Flaky(failures) => finished(id, "flaky", *failures, *elapsed),
            Outcome::Cached => finished(id, "cached", 0, *elapsed),
            Outcome::Failed => finished(id, "failed", 0, *elapsed),
            Outcome::Postponed => finished(id, "postponed", 0, *elapsed),
        },
        Event::Unchanged { id, .. } => finished(id, "cached", 0, Duration::ZERO),
        Event::Checked { id, result, by } => of_work("checked", id, json!({ "result": result, "by": by })),
        Event::Remaining { left } => json!({ "event": "remaining", "left": seconds(*left) }),
        Event::Tally(tally) => json!({
            "event": "tally",
            "running": tally.running,
            "done": tally.done,
            "failed": tally.failed,
            "skipped": tally.skipped,
            "waiting": tally.waiting,
        }),
        Event::Raised {
            component,
            from,
            to,
            why,
        } => json!({ "event": "raised", "name": component, "from": from, "to": to, "why": cut(why) }),
        Event::Note { text } => json!({ "event": "note", "text": cut(text) }),
        Event::Warning { text } => json!({ "event": "warning", "text": cut(text) }),
    })
}

/// Seconds with three places.
fn seconds(duration: Duration) -> Value {
    json!(duration.as_millis() as f64 / 1000.0)
}

fn cut(text: &str) -> &str {
    let end = text.char_indices().map(|(at, _)| at).nth(LONGEST_TEXT);
    &text[..end.unwrap_or(text.len())]
}

#[cfg(test)]
mod tests {
    use keel_artefact::event::Tally;

    use super::*;

    #[test]
    fn each_event_is_an_object_that_the_reference_describes() {
        let (id, time) = ("build:zlib", Duration::from_millis(1500));
        let reference = include_str!("../../docs/reference/events.md");
        for (event, expected) in [
            (
                Event::Stage { title: "Building" },
                json!({ "event": "stage", "title": "Building" }),
            ),
            (
                Event::Started {
                    id,
                    title: "zlib 1",
                    total: None,
                },
                json!({ "event": "started", "kind": "build", "name": "zlib", "title": "zlib 1", "total": null }),
            ),
            (
                Event::Expected { id, time },
                json!({ "event": "expected", "kind": "build", "name": "zlib", "elapsed": 1.5 }),
            ),
            (
                Event::Message { id, text: "%prep" },
                json!({ "event": "phase", "kind": "build", "name": "zlib", "phase": "%prep" }),
            ),
            (
                Event::Message {
                    id: "boot:vm",
                    text: "x",
                },
                json!({ "event": "message", "kind": "boot", "name": "vm", "text": "x" }),
            ),
            (
                Event::Finished {
                    id,
                    outcome: Outcome::Flaky(2),
                    elapsed: time,
                },
                json!({
                    "event": "finished", "kind": "build", "name": "zlib", "outcome": "flaky", "failures": 2, "elapsed": 1.5
                }),
            ),
            (
                Event::Unchanged { id, title: "zlib 1" },
                json!({
                    "event": "finished", "kind": "build", "name": "zlib", "outcome": "cached", "failures": 0, "elapsed": 0.0
                }),
            ),
            (
                Event::Checked {
                    id,
                    result: "left-out",
                    by: Some("by the command line"),
                },
                json!({
                    "event": "checked", "kind": "build", "name": "zlib", "result": "left-out", "by": "by the command line"
                }),
            ),
            (
                Event::Remaining { left: time },
                json!({ "event": "remaining", "left": 1.5 }),
            ),
            (
                Event::Tally(Tally {
                    running: 1,
                    done: 2,
                    failed: 3,
                    skipped: 4,
                    waiting: 5,
                }),
                json!({ "event": "tally", "running": 1, "done": 2, "failed": 3, "skipped": 4, "waiting": 5 }),
            ),
            (
                Event::Raised {
                    component: "zlib",
                    from: "1-1",
                    to: "1-1.1",
                    why: "w",
                },
                json!({ "event": "raised", "name": "zlib", "from": "1-1", "to": "1-1.1", "why": "w" }),
            ),
            (Event::Note { text: "n" }, json!({ "event": "note", "text": "n" })),
            (
                Event::Warning { text: "w" },
                json!({ "event": "warning", "text": "w" }),
            ),
        ] {
            let line = line_of(&event).unwrap();
            assert_eq!(line, expected);
            let row = format!("| `{}` |", line["event"].as_str().unwrap());
            let row = reference.lines().find(|line| line.starts_with(&row)).unwrap();
            for key in line.as_object().unwrap().keys().filter(|key| *key != "event") {
                assert!(row.contains(&format!("`{key}`")), "{key}: {row}");
            }
        }
        assert!(line_of(&Event::Progress { id, done: 1 }).is_none());
    }

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(cut("é"), "é");
        assert_eq!(cut(&"é".repeat(3000)).chars().count(), LONGEST_TEXT);
    }

    #[test]
    fn a_full_disk_is_told_once_and_leaves_whole_lines() {
        let events = Events::open(Path::new("/dev/full")).unwrap();
        let told = events.write(json!({ "event": "note" })).unwrap();
        assert!(told.contains("no more events are written"), "{told}");
        assert_eq!(events.write(json!({ "event": "note" })), None);
    }
}

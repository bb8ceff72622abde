//! Counts, durations and work in words.

use std::time::Duration;

use keel_artefact::event::Tally;

/// `3 running, 12 done, 1 failed, 40 to go`: what there is none of is not said.
pub(super) fn told(tally: &Tally) -> String {
    let counts = [
        (tally.running, "running"),
        (tally.done, "done"),
        (tally.failed, "failed"),
        (tally.skipped, "skipped"),
        (tally.waiting, "to go"),
    ];
    let said = counts.iter().filter(|(count, _)| *count > 0);
    let said: Vec<String> = said.map(|(count, word)| format!("{count} {word}")).collect();
    said.join(", ")
}

/// `once`, `3 times`.
pub fn times(count: usize) -> String {
    match count {
        1 => "once".to_owned(),
        _ => format!("{count} times"),
    }
}

/// `03:04`, `1:02:03`.
pub(super) fn clock(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds / 3600 {
        0 => format!("{:02}:{:02}", seconds / 60, seconds % 60),
        hours => format!("{hours}:{:02}:{:02}", seconds / 60 % 60, seconds % 60),
    }
}

/// `1 h 2 min`, `3 min 4 s`, `5.6 s`.
pub fn readable(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..=9 => format!("{:.1} s", duration.as_secs_f64()),
        10..=59 => format!("{seconds} s"),
        60..=3599 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// The verbs of a piece of work, going on and done, from the part of its identity before the colon.
pub(super) fn verb_of(id: &str) -> (&'static str, &'static str) {
    match id.split(':').next().unwrap_or(id) {
        "build" => ("Building", "Built"),
        "fetch" => ("Fetching", "Fetched"),
        "stage0" => ("Preparing", "Prepared"),
        "image" => ("Composing", "Composed"),
        "repo" => ("Publishing", "Published"),
        "boot" | "test" => ("Booting", "Booted"),
        "spec" => ("Evaluating", "Evaluated"),
        _ => ("Running", "Done"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_readable() {
        for (seconds, text) in [
            (0.5, "0.5 s"),
            (42.0, "42 s"),
            (184.0, "3 min 4 s"),
            (3720.0, "1 h 2 min"),
        ] {
            assert_eq!(readable(Duration::from_secs_f64(seconds)), text);
        }
        assert_eq!(clock(Duration::from_secs(184)), "03:04");
        assert_eq!(clock(Duration::from_secs(3723)), "1:02:03");
        assert_eq!((times(1), times(3)), ("once".to_owned(), "3 times".to_owned()));
    }

    #[test]
    fn the_last_line_says_what_there_is() {
        let tally = Tally {
            running: 3,
            done: 12,
            waiting: 40,
            ..Tally::default()
        };
        assert_eq!(told(&tally), "3 running, 12 done, 40 to go");
        assert_eq!(told(&Tally::default()), "");
    }
}

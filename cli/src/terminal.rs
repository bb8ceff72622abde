//! What is said while work goes on: progress bars on a terminal, plain lines elsewhere. Standard error only; standard
//! output is for results.

use std::{
    collections::BTreeMap,
    io::{IsTerminal as _, Write as _},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use keel_artefact::{Event, Sink, event::Outcome};
use keel_config::Diagnostic;

use crate::{
    args::Form,
    failure::{self, Failure, Said},
};

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Volume {
    /// Errors and results.
    Quiet,
    /// Stages, and steps that took work.
    Normal,
    /// Every step.
    Verbose,
}

/// The listener of a run.
pub struct Terminal {
    volume: Volume,
    paint: bool,
    form: Form,
    bars: Option<MultiProgress>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    running: BTreeMap<String, Running>,
    remaining: Option<(Instant, Duration)>,
    footer: Option<ProgressBar>,
}

struct Running {
    title: String,
    bar: Option<ProgressBar>,
    is_bytes: bool,
}

impl Terminal {
    /// `paint`: colours on standard error. In JSON, each line of standard error is an object.
    pub fn new(volume: Volume, paint: bool, form: Form) -> Self {
        let is_terminal = std::io::stderr().is_terminal() && volume > Volume::Quiet;
        let bars =
            is_terminal.then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(8)));
        Self {
            volume,
            paint,
            form,
            bars,
            state: Mutex::default(),
        }
    }

    /// Says one line, above the bars.
    pub fn line(&self, text: &str) {
        self.say("note", text, text);
    }

    /// Says that something may be wrong.
    pub fn warning(&self, text: &str) {
        self.say("warning", text, &format!("warning: {text}"));
    }

    /// Says `text` in JSON, or `line`.
    fn say(&self, level: &'static str, text: &str, line: &str) {
        match self.form {
            Form::Text => self.write(line),
            Form::Json => self.write(
                &Said {
                    level,
                    class: None,
                    text: Some(text),
                    diagnostic: None,
                }
                .json(),
            ),
        }
    }

    fn write(&self, line: &str) {
        let write = || {
            // A closed standard error is nobody's to tell.
            let _ = writeln!(std::io::stderr().lock(), "{line}");
        };
        match &self.bars {
            Some(bars) => bars.suspend(write),
            None => write(),
        }
    }

    /// Says what is wrong, and goes on.
    pub fn diagnostic(&self, diagnostic: &Diagnostic) {
        match self.form {
            Form::Text => self.write(&(failure::painted(diagnostic, self.paint) + "\n")),
            Form::Json => self.write(
                &Said {
                    level: "error",
                    class: None,
                    text: None,
                    diagnostic: Some(diagnostic),
                }
                .json(),
            ),
        }
    }

    /// Says why a command ends.
    pub fn failure(&self, failure: &Failure) {
        self.clear();
        match self.form {
            Form::Text => self.write(&failure.render(self.paint)),
            Form::Json => self.write(&failure.json()),
        }
    }

    /// Takes the bars away, at the end of a run.
    pub fn clear(&self) {
        if let Some(bars) = &self.bars {
            // A terminal that is gone needs no clearing.
            let _ = bars.clear();
        }
    }

    /// Says a line `verb rest`, the verb in a column of its own.
    fn step(&self, verb: &'static str, colour: &str, rest: &str) {
        let (on, off) = if self.paint { (colour, "\x1b[0m") } else { ("", "") };
        let level = if verb == "warning" { verb } else { "note" };
        let text = match verb {
            "warning" | "note" | "==>" => rest.to_owned(),
            verb => format!("{verb} {rest}"),
        };
        self.say(level, &text, &format!("{on}{verb:>12}{off} {rest}"));
    }

    fn start(&self, state: &mut State, id: &str, title: &str, total: Option<u64>) {
        let is_bytes = id.starts_with("fetch:");
        let bar = self.bars.as_ref().map(|bars| {
            let bar = match total {
                Some(total) => ProgressBar::new(total).with_style(style(if is_bytes {
                    "{prefix:>12} {msg} {bar:24} {bytes}/{total_bytes}"
                } else {
                    "{prefix:>12} {msg} {bar:24} {pos}/{len}"
                })),
                None => ProgressBar::new_spinner().with_style(style("{prefix:>12} {msg} {elapsed}")),
            };
            let bar = bars.insert_from_back(usize::from(state.footer.is_some()), bar);
            bar.set_prefix(verb_of(id).0);
            bar.set_message(title.to_owned());
            bar.enable_steady_tick(Duration::from_millis(250));
            bar
        });
        if self.bars.is_none() && self.volume > Volume::Quiet && !is_bytes {
            self.step(verb_of(id).0, "", title);
        }
        state.running.insert(
            id.to_owned(),
            Running {
                title: title.to_owned(),
                bar,
                is_bytes,
            },
        );
    }

    fn finish(&self, state: &mut State, id: &str, outcome: Outcome, elapsed: Duration) {
        let Some(running) = state.running.remove(id) else {
            return;
        };
        if let Some(bar) = running.bar {
            bar.finish_and_clear();
        }
        let is_told = match outcome {
            Outcome::Done => self.volume > Volume::Quiet,
            Outcome::Cached => self.volume == Volume::Verbose,
            Outcome::Failed => self.volume > Volume::Quiet,
        };
        if !is_told {
            return;
        }
        let left = match state.remaining {
            Some((said, left)) if !running.is_bytes => {
                format!(", about {} left", readable(left.saturating_sub(said.elapsed())))
            }
            _ => String::new(),
        };
        let (verb, colour) = match outcome {
            Outcome::Done => (verb_of(id).1, "\x1b[32;1m"),
            Outcome::Cached => ("Cached", "\x1b[36m"),
            Outcome::Failed => ("Failed", "\x1b[31;1m"),
        };
        self.step(
            verb,
            colour,
            &format!("{} in {}{left}", running.title, readable(elapsed)),
        );
    }
}

impl Sink for Terminal {
    fn event(&self, event: Event<'_>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Stage { title } => {
                state.remaining = None;
                if self.volume > Volume::Quiet {
                    self.step("==>", "\x1b[34;1m", title);
                }
            }
            Event::Started { id, title, total } => self.start(&mut state, id, title, total),
            Event::Progress { id, done } => {
                if let Some(bar) = state.running.get(id).and_then(|running| running.bar.as_ref()) {
                    bar.set_position(done);
                }
            }
            Event::Message { id, text } => match state.running.get(id) {
                Some(Running {
                    bar: Some(bar),
                    title,
                    ..
                }) => bar.set_message(format!("{title} {text}")),
                Some(_) => {}
                // Of no piece of work: the message itself is what is wanted (a console, the requests to a server).
                None if self.volume > Volume::Quiet => self.line(text),
                None => {}
            },
            Event::Finished { id, outcome, elapsed } => self.finish(&mut state, id, outcome, elapsed),
            Event::Unchanged { title } => {
                if self.volume == Volume::Verbose {
                    self.step("Unchanged", "\x1b[36m", title);
                }
            }
            Event::Remaining { left } => {
                state.remaining = Some((Instant::now(), left));
                if let Some(bars) = &self.bars {
                    let footer = state.footer.get_or_insert_with(|| {
                        bars.add(ProgressBar::new_spinner().with_style(style("{prefix:>12} {msg}")))
                    });
                    footer.set_prefix("Left");
                    footer.set_message(format!("about {}", readable(left)));
                }
            }
            Event::Note { text } => {
                if self.volume > Volume::Quiet {
                    self.step("note", "\x1b[36m", text);
                }
            }
            Event::Warning { text } => self.step("warning", "\x1b[33;1m", text),
        }
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
fn verb_of(id: &str) -> (&'static str, &'static str) {
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

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates in this file are well formed")
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
    }
}

//! What is said while work goes on: progress bars on a terminal, plain lines elsewhere. Standard error only; standard
//! output is for results.

mod words;

use std::{
    collections::BTreeMap,
    io::{IsTerminal as _, Write as _},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use keel_artefact::{
    Event, Sink,
    event::{Outcome, Tally},
};
use keel_config::Diagnostic;
use serde_json::json;

use crate::{
    args::Form,
    events::Events,
    failure::{self, Failure, Said},
};

use words::{clock, told, verb_of};
pub use words::{readable, times};

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
    began: Instant,
    bars: Option<MultiProgress>,
    events: Option<Events>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    running: BTreeMap<String, Running>,
    remaining: Option<(Instant, Duration)>,
    tally: Tally,
    footer: Option<Footer>,
}

struct Running {
    title: String,
    began: Instant,
    /// The last line that it said: the phase of a build.
    says: String,
    expected: Option<Duration>,
    /// None where there is no terminal, or no room on it.
    bar: Option<ProgressBar>,
    total: Option<u64>,
    is_bytes: bool,
}

/// The last line: how long it still takes, and how much of it there is.
struct Footer {
    bar: ProgressBar,
    /// When it will be over.
    end: Arc<Mutex<Option<Instant>>>,
}

impl Terminal {
    /// `paint`: colours on standard error; `events`: who else is told. In JSON, each line of standard error is an object.
    pub fn new(volume: Volume, paint: bool, form: Form, events: Option<Events>) -> Self {
        let is_terminal = std::io::stderr().is_terminal() && volume > Volume::Quiet;
        let bars =
            is_terminal.then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(8)));
        Self {
            volume,
            paint,
            form,
            began: Instant::now(),
            bars,
            events,
            state: Mutex::default(),
        }
    }

    /// The first event.
    pub fn begin(&self, arguments: impl Iterator<Item = String>) {
        let arguments: Vec<String> = arguments.collect();
        self.tell(json!({ "event": "begin", "version": env!("CARGO_PKG_VERSION"), "arguments": arguments }));
    }

    /// The last event.
    pub fn end(&self, failure: Option<&failure::Failure>) {
        let code = failure.map_or(0, |failure| failure.class.code());
        let errors: Vec<&str> = failure
            .iter()
            .flat_map(|failure| &failure.diagnostics)
            .map(|diagnostic| diagnostic.message.as_str())
            .collect();
        self.tell(json!({ "event": "end", "code": code, "errors": errors }));
    }

    /// Are results to be told as events?
    pub fn events_take_stdout(&self) -> bool {
        self.events.as_ref().is_some_and(Events::take_stdout)
    }

    /// The result, as an event.
    pub fn result(&self, result: serde_json::Value) {
        self.tell(json!({ "event": "result", "result": result }));
    }

    fn tell(&self, line: serde_json::Value) {
        if let Some(wrong) = self.events.as_ref().and_then(|events| events.write(line)) {
            self.step("warning", "\x1b[33;1m", &wrong);
        }
    }

    /// Says one line, above the bars.
    pub fn line(&self, text: &str) {
        self.say("note", text, text);
    }

    /// Says what belongs to an error.
    pub fn error(&self, text: &str, line: &str) {
        self.say("error", text, line);
    }

    /// Says that something may be wrong.
    pub fn warning(&self, text: &str) {
        self.say("warning", text, &format!("warning: {text}"));
    }

    /// Says `text` in JSON, or `line`.
    fn say(&self, level: &'static str, text: &str, line: &str) {
        // The one place that knows what `--quiet` means: errors are said, and all else is not.
        if self.volume == Volume::Quiet && level != "error" {
            return;
        }
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

    /// Says a line `verb rest`, the verb in a column of its own. Where lines are kept, each has its time.
    fn step(&self, verb: &'static str, colour: &str, rest: &str) {
        let (on, off) = if self.paint { (colour, "\x1b[0m") } else { ("", "") };
        let level = if verb == "warning" { verb } else { "note" };
        let text = match verb {
            "warning" | "note" | "==>" => rest.to_owned(),
            verb => format!("{verb} {rest}"),
        };
        let time = match self.bars {
            Some(_) => String::new(),
            None => format!("[{}] ", clock(self.began.elapsed())),
        };
        self.say(level, &text, &format!("{time}{on}{verb:>12}{off} {rest}"));
    }

    fn start(&self, state: &mut State, id: &str, title: &str, total: Option<u64>) {
        let mut running = Running {
            title: title.to_owned(),
            began: Instant::now(),
            says: String::new(),
            expected: None,
            bar: None,
            total,
            is_bytes: id.starts_with("fetch:"),
        };
        self.show(state, id, &mut running);
        if self.bars.is_none() && self.volume > Volume::Quiet && !running.is_bytes {
            self.step(verb_of(id).0, "", title);
        }
        state.running.insert(id.to_owned(), running);
    }

    /// Gives a piece of work a line of its own, if there is room.
    fn show(&self, state: &State, id: &str, running: &mut Running) {
        let Some(bars) = &self.bars else { return };
        let shown = state.running.values().filter(|other| other.bar.is_some()).count();
        if shown + 3 > height() {
            return;
        }
        let bar = match running.total {
            Some(total) => ProgressBar::new(total).with_style(style(if running.is_bytes {
                "{prefix:>12} {bytes:>10}/{total_bytes:10} {bar:20} {wide_msg}"
            } else {
                "{prefix:>12} {pos:>10}/{len:10} {bar:20} {wide_msg}"
            })),
            None => ProgressBar::new_spinner().with_style(style("{prefix:>12} {elapsed:>4} {wide_msg}")),
        };
        let bar = bar.with_elapsed(running.began.elapsed());
        let bar = bars.insert_from_back(usize::from(state.footer.is_some()), bar);
        bar.set_prefix(verb_of(id).0);
        bar.set_message(running.text());
        bar.enable_steady_tick(Duration::from_millis(250));
        running.bar = Some(bar);
    }

    fn finish(&self, state: &mut State, id: &str, outcome: Outcome, elapsed: Duration) {
        let Some(running) = state.running.remove(id) else {
            return;
        };
        if let Some(bar) = running.bar {
            bar.finish_and_clear();
            self.show_another(state);
        }
        let is_told = match outcome {
            Outcome::Done | Outcome::Flaky(_) | Outcome::Failed | Outcome::Postponed => {
                self.volume > Volume::Quiet
            }
            Outcome::Cached => self.volume == Volume::Verbose,
        };
        if !is_told {
            return;
        }
        let left = match state.remaining {
            Some((said, left)) if !running.is_bytes && left > said.elapsed() => {
                format!(", about {} left", readable(left.saturating_sub(said.elapsed())))
            }
            _ => String::new(),
        };
        let (verb, colour) = match outcome {
            Outcome::Done => (verb_of(id).1, "\x1b[32;1m"),
            Outcome::Flaky(_) => ("Flaky", "\x1b[33;1m"),
            Outcome::Cached => ("Cached", "\x1b[36m"),
            Outcome::Failed => ("Failed", "\x1b[31;1m"),
            Outcome::Postponed => ("Postponed", "\x1b[36m"),
        };
        let how = match outcome {
            Outcome::Flaky(failures) => format!(", failed {}", times(failures)),
            _ => String::new(),
        };
        let rest = format!("{} in {}{how}{left}", running.title, readable(elapsed));
        self.step(verb, colour, &rest);
    }

    /// Gives the line that has become free to a piece of work that had none.
    fn show_another(&self, state: &mut State) {
        let hidden = state.running.iter().find(|(_, running)| running.bar.is_none());
        let Some(id) = hidden.map(|(id, _)| id.clone()) else {
            return;
        };
        if let Some(mut running) = state.running.remove(&id) {
            self.show(state, &id, &mut running);
            state.running.insert(id, running);
        }
    }

    fn message(&self, state: &mut State, id: &str, text: &str) {
        let Some(running) = state.running.get_mut(id) else {
            // Of no piece of work: the message itself is what is wanted (a console, the requests to a server).
            if self.volume > Volume::Quiet {
                self.line(text);
            }
            return;
        };
        text.clone_into(&mut running.says);
        running.update();
        if self.bars.is_none() && self.volume == Volume::Verbose {
            let line = format!("{} {text}", running.title);
            self.step("", "", &line);
        }
    }

    /// Brings the last line up to date.
    fn foot(&self, state: &mut State) {
        let Some(bars) = &self.bars else { return };
        if state.tally.running + state.tally.waiting == 0 {
            return state.end();
        }
        let footer = state.footer.get_or_insert_with(|| Footer::new(bars));
        let mut end = footer.end.lock().unwrap_or_else(PoisonError::into_inner);
        *end = state.remaining.and_then(|(said, left)| said.checked_add(left));
        drop(end);
        footer.bar.set_message(told(&state.tally));
    }
}

impl State {
    /// The stage is over.
    fn end(&mut self) {
        self.remaining = None;
        self.tally = Tally::default();
        if let Some(footer) = self.footer.take() {
            footer.bar.finish_and_clear();
        }
    }
}

impl Running {
    fn update(&self) {
        if let Some(bar) = &self.bar {
            bar.set_message(self.text());
        }
    }

    fn text(&self) -> String {
        let mut text = self.title.clone();
        if !self.says.is_empty() {
            text = format!("{text} {}", self.says);
        }
        match self.expected {
            Some(expected) => format!("{text} (of about {})", readable(expected)),
            None => text,
        }
    }
}

impl Footer {
    fn new(bars: &MultiProgress) -> Self {
        let end: Arc<Mutex<Option<Instant>>> = Arc::default();
        let shown = Arc::clone(&end);
        let left = move |_: &ProgressState, out: &mut dyn std::fmt::Write| {
            let end = *shown.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(end) = end {
                // Who cannot be written to needs no time.
                let _ = write!(
                    out,
                    "about {}, ",
                    readable(end.saturating_duration_since(Instant::now()))
                );
            }
        };
        let bar = ProgressBar::new_spinner()
            .with_style(style("{prefix:>12} {left}{wide_msg}").with_key("left", left));
        let bar = bars.add(bar);
        bar.set_prefix("Left");
        bar.enable_steady_tick(Duration::from_millis(500));
        Self { bar, end }
    }
}

impl Sink for Terminal {
    fn event(&self, event: Event<'_>) {
        if let Some(wrong) = self.events.as_ref().and_then(|events| events.tell(&event)) {
            self.step("warning", "\x1b[33;1m", &wrong);
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Stage { title } => {
                state.end();
                if self.volume > Volume::Quiet {
                    self.step("==>", "\x1b[34;1m", title);
                }
            }
            Event::Started { id, title, total } => self.start(&mut state, id, title, total),
            Event::Expected { id, time } => {
                if let Some(running) = state.running.get_mut(id) {
                    running.expected = Some(time);
                    running.update();
                }
            }
            Event::Progress { id, done } => {
                if let Some(bar) = state.running.get(id).and_then(|running| running.bar.as_ref()) {
                    bar.set_position(done);
                }
            }
            Event::Message { id, text } => self.message(&mut state, id, text),
            Event::Finished { id, outcome, elapsed } => self.finish(&mut state, id, outcome, elapsed),
            Event::Unchanged { title, .. } => {
                if self.volume == Volume::Verbose {
                    self.step("Unchanged", "\x1b[36m", title);
                }
            }
            Event::Checked { id, result, .. } => {
                if self.volume == Volume::Verbose {
                    let name = id.split_once(':').map_or(id, |(_, name)| name);
                    self.step("%check", "\x1b[36m", &format!("{name}: {result}"));
                }
            }
            Event::Remaining { left } if left > Duration::ZERO => {
                state.remaining = Some((Instant::now(), left));
                self.foot(&mut state);
            }
            Event::Remaining { .. } => {}
            Event::Tally(tally) => {
                state.tally = tally;
                self.foot(&mut state);
            }
            Event::Raised {
                component,
                from,
                to,
                why,
            } => {
                let text = format!("`{component}` is {to} now: {from} is published with other bytes ({why})");
                self.step("note", "\x1b[36m", &text);
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

/// Lines of the terminal, as it is now.
fn height() -> usize {
    let size = rustix::termios::tcgetwinsize(std::io::stderr());
    size.map_or(24, |size| usize::from(size.ws_row))
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates in this file are well formed")
}

//! How far a run is, and how long the rest takes: the rest is run through the scheduler's own queue, without work.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use keel_artefact::{Event, Sink, event::Tally};

use crate::{
    expected::Expected,
    scheduler::{Queue, State, simulation},
};

/// What is known of the times of a run.
pub struct Progress<'a> {
    expected: &'a [Expected],
    times: Mutex<Times>,
}

#[derive(Default)]
struct Times {
    /// When each running build began; those whose results the store had never do.
    began: Vec<Option<Instant>>,
    /// Expected and measured seconds of what was built in this run.
    expected: f64,
    measured: f64,
}

impl<'a> Progress<'a> {
    /// Of a run in which nothing has begun.
    pub fn new(expected: &'a [Expected]) -> Self {
        Self {
            expected,
            times: Mutex::new(Times {
                began: vec![None; expected.len()],
                ..Times::default()
            }),
        }
    }

    /// A build begins. Gives how long it is expected to take.
    pub fn begins(&self, index: usize) -> Duration {
        let mut times = self.lock();
        times.began[index] = Some(Instant::now());
        Duration::from_secs_f64((self.expected[index].seconds * times.pace()).max(0.0))
    }

    /// A build, or a look into the store, is over.
    pub fn ended(&self, index: usize, well: bool) {
        let mut times = self.lock();
        if let Some(began) = times.began[index].take()
            && well
        {
            times.expected += self.expected[index].seconds;
            times.measured += began.elapsed().as_secs_f64();
        }
    }

    /// Tells how far the run is, and how long the rest takes if anything had to be built.
    pub fn tell(&self, queue: Queue, sink: &dyn Sink) {
        sink.event(Event::Tally(tally(&queue)));
        let times = self.lock();
        if times.measured == 0.0 && times.began.iter().all(Option::is_none) {
            return;
        }
        let pace = times.pace();
        let left = |(index, state): (usize, &State)| {
            let elapsed = times.began[index].map_or(0.0, |began| began.elapsed().as_secs_f64());
            let whole = self.expected[index].seconds * pace;
            // What takes longer than expected still takes a while.
            (*state == State::Running).then(|| (index, (whole - elapsed).max(elapsed / 5.0)))
        };
        let running: Vec<(usize, f64)> = queue.states().iter().enumerate().filter_map(left).collect();
        drop(times);
        let seconds = simulation::rest(queue, &running, &|index, _| {
            (self.expected[index].seconds * pace, true)
        });
        sink.event(Event::Remaining {
            left: Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX),
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Times> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Times {
    /// How much longer things take than expected, once there is something to tell from.
    fn pace(&self) -> f64 {
        match self.expected > 10.0 {
            true => (self.measured / self.expected).clamp(0.1, 10.0),
            false => 1.0,
        }
    }
}

fn tally(queue: &Queue) -> Tally {
    let mut tally = Tally::default();
    for state in queue.states() {
        let count = match state {
            State::Waiting => &mut tally.waiting,
            State::Running => &mut tally.running,
            State::Done => &mut tally.done,
            State::Failed => &mut tally.failed,
            State::Skipped(_) => &mut tally.skipped,
        };
        *count += 1;
    }
    tally
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheduler::{Order, Policy, Task};

    #[derive(Default)]
    struct Told(Mutex<Vec<String>>);

    impl Sink for Told {
        fn event(&self, event: Event<'_>) {
            let text = match event {
                Event::Remaining { left } => format!("left {:.0}", left.as_secs_f64()),
                Event::Tally(tally) => format!(
                    "{} running {} done {} waiting",
                    tally.running, tally.done, tally.waiting
                ),
                _ => "something else".to_owned(),
            };
            self.0.lock().unwrap().push(text);
        }
    }

    #[test]
    fn the_rest_is_foretold_from_what_runs_and_what_waits() {
        let expected = [10_000.0, 20_000.0, 40_000.0].map(|seconds| Expected { seconds, memory: 0 });
        let tasks = expected.map(|expected| Task {
            seconds: expected.seconds,
            ..Task::default()
        });
        let mut queue = Queue::new(&tasks, Policy::jobs(2), Order::LongestWay);
        let (progress, told) = (Progress::new(&expected), Told::default());
        let say = |progress: &Progress<'_>, queue: &Queue| {
            progress.tell(queue.clone(), &told);
            std::mem::take(&mut *told.0.lock().unwrap())
        };
        assert_eq!(say(&progress, &queue), ["0 running 0 done 3 waiting"]);
        let start = queue.start().unwrap();
        assert_eq!(
            (start.index, progress.begins(2)),
            (2, Duration::from_secs(40_000))
        );
        // The other two follow each other beside it.
        assert_eq!(
            say(&progress, &queue),
            ["1 running 0 done 2 waiting", "left 40000"]
        );
        // It was in no time: all that is left will be faster, but by no more than ten times.
        progress.ended(2, true);
        queue.done(2);
        assert_eq!(
            say(&progress, &queue),
            ["0 running 1 done 2 waiting", "left 2000"]
        );
    }
}

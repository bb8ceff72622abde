//! Answers that all SPECs of a run share. Who asks first finds out; who asks for the same meanwhile waits for that.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use super::Answer;

/// None: the answer was that SPEC's alone.
type Cell = Arc<OnceLock<Option<Arc<Answer>>>>;

/// Longer answers are not kept.
const LONGEST: usize = 1 << 20;

/// Answers by the text of the command. Environment and root are one for a run, so they are no part of the key.
#[derive(Default)]
pub(super) struct Memo(Mutex<HashMap<Box<[u8]>, Cell>>);

impl Memo {
    /// The answer to `command`, from `find`, which also says whether the answer is one for all; and whether this one is.
    pub(super) fn get(&self, command: &[u8], find: impl FnOnce() -> (Answer, bool)) -> (Arc<Answer>, bool) {
        let cell = {
            let mut cells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            match cells.get(command) {
                Some(cell) => cell.clone(),
                None => cells.entry(command.into()).or_default().clone(),
            }
        };
        let mut find = Some(find);
        let mut own = None;
        let shared = cell.get_or_init(|| {
            let (answer, is_for_all) = (find.take()?)();
            let is_long = answer
                .as_ref()
                .is_ok_and(|printed| printed.stdout.len() > LONGEST);
            let answer = Arc::new(answer);
            own = Some((answer.clone(), is_for_all));
            (is_for_all && !is_long).then_some(answer)
        });
        match (own, shared, find) {
            (Some(own), ..) => own,
            (None, Some(shared), _) => (shared.clone(), true),
            (None, None, find) => {
                let (answer, is_for_all) = (find.expect("nobody has called it"))();
                (Arc::new(answer), is_for_all)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::world::Printed;

    fn printed(text: &str) -> Answer {
        Ok(Printed {
            stdout: text.into(),
            stderr: Vec::new(),
        })
    }

    #[test]
    fn a_command_is_run_once_however_many_ask() {
        let memo = Memo::default();
        let runs = AtomicUsize::new(0);
        let ask = || {
            memo.get(b"x", || {
                runs.fetch_add(1, Ordering::SeqCst);
                std::thread::sleep(std::time::Duration::from_millis(50));
                (printed("1"), true)
            })
        };
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| assert_eq!(ask(), (Arc::new(printed("1")), true)));
            }
        });
        assert_eq!(runs.into_inner(), 1);
    }

    #[test]
    fn what_is_one_specs_alone_is_found_by_each() {
        let memo = Memo::default();
        for number in ["1", "2", "3"] {
            let found = memo.get(b"x", || (printed(number), false));
            assert_eq!(found, (Arc::new(printed(number)), false));
        }
    }
}

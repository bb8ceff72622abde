//! Installed packages: which stay, and which are replaced by what.

use super::{choose::Mode, pool::Id, rules::lit, solver::Solver};

impl Solver<'_> {
    /// First what jobs want updated, then all that can stay, then what could not.
    pub(super) fn resolve_installed(&mut self, start: i32) -> i32 {
        let range = self.world.installed();
        let count = range.len();
        let first_pass = match (self.maps.update_all, self.maps.update.any()) {
            (true, _) => 2,
            (false, true) => 0,
            (false, false) => 1,
        };
        let (mut level, mut pass) = (start, first_pass);
        while pass < 3 {
            let pass_level = level;
            let (mut seen, mut postponed) = (0, false);
            let mut id = self.next_installed;
            let mut trouble = false;
            while seen < count {
                if id >= range.end {
                    id = range.start;
                }
                let before = level;
                match self.settle(level, id, pass, &mut postponed) {
                    Some(now) if now <= before => {
                        level = now;
                        if level < pass_level {
                            trouble = true;
                            break;
                        }
                        if level < before {
                            seen = 0;
                        }
                    }
                    Some(now) => level = now,
                    None => {
                        id += 1;
                        seen += 1;
                    }
                }
            }
            if trouble {
                self.next_installed = if id >= range.end { range.start } else { id };
                if level < start {
                    return level;
                }
                pass = first_pass;
                continue;
            }
            self.next_installed = range.start;
            pass += 1;
            if pass == 2 && !postponed {
                break;
            }
        }
        level
    }

    /// Decides what becomes of an installed package, one decision at a time; none when nothing is open.
    fn settle(&mut self, level: i32, id: Id, pass: u8, postponed: &mut bool) -> Option<i32> {
        let special = self.special.contains_key(&id);
        if self.sat.value(id) > 0 && !special {
            return None;
        }
        if pass == 0 && !self.maps.update.has(id) {
            return None;
        }
        let place = self.world.place(id);
        let update = self.update[place];
        let own = update
            .filter(|clause| self.sat.is_enabled(*clause))
            .or(self.feature[place])
            .or(update)?;
        let wanted = self.sat.value(id) < 0 || self.maps.is_updated(id);
        if wanted && !self.noupdate.has(id) {
            if pass == 1 {
                *postponed = true;
                return None;
            }
            if special && let Some(list) = self.special_updates(id) {
                let because = self.feature[place].or(update).unwrap_or(own);
                return Some(self.choose(level, list, because));
            }
            let mut list = self.open(own);
            if let Some(targets) = self.maps.targets.get(&id) {
                list.retain(|new| targets.contains(new));
            }
            if !list.is_empty() {
                return Some(self.choose(level, list, own));
            }
        }
        if self.sat.is_open(id) && !(self.cleans() && self.cleaned.has(id)) {
            return Some(self.step(level, lit(id), Some(own)));
        }
        None
    }

    /// The best of the packages that can stand beside an installed one, if it is not there yet.
    fn special_updates(&mut self, id: Id) -> Option<Vec<Id>> {
        let special = self.special.get(&id)?.clone();
        let mut list: Vec<Id> = Some(id)
            .into_iter()
            .chain(special.iter().copied())
            .filter(|id| self.sat.value(*id) >= 0)
            .collect();
        for old in list.clone() {
            if self.world.is_installed(old) {
                let twins = special.iter().copied().filter(|new| {
                    self.sat.value(*new) < 0
                        && !self.world.is_installed(*new)
                        && self.world.is_identical(*new, old)
                });
                list.extend(twins);
            }
        }
        if let Some(targets) = self.maps.targets.get(&id) {
            list.retain(|new| targets.contains(new));
        }
        self.prune(&mut list, Mode::One, None);
        let best = *list.first()?;
        (best != id && self.sat.is_open(best)).then(|| vec![best])
    }
}

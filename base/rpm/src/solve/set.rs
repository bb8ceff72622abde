//! Sets of packages.

use super::pool::Id;

/// A bit per package.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Bits {
    words: Vec<u64>,
}

impl Bits {
    pub fn new(count: usize) -> Self {
        Self {
            words: vec![0; count.div_ceil(64)],
        }
    }

    pub fn has(&self, id: Id) -> bool {
        (self.words.get(id as usize / 64)).is_some_and(|word| word >> (id % 64) & 1 == 1)
    }

    /// Was it new?
    pub fn add(&mut self, id: Id) -> bool {
        let (at, bit) = (id as usize / 64, 1_u64 << (id % 64));
        if at >= self.words.len() {
            self.words.resize(at + 1, 0);
        }
        let new = self.words[at] & bit == 0;
        self.words[at] |= bit;
        new
    }

    pub fn remove(&mut self, id: Id) {
        if let Some(word) = self.words.get_mut(id as usize / 64) {
            *word &= !(1 << (id % 64));
        }
    }

    pub fn clear(&mut self) {
        self.words.fill(0);
    }

    pub fn any(&self) -> bool {
        self.words.iter().any(|word| *word != 0)
    }
}

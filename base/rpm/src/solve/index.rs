//! Many values per text, in two arrays.

use super::pool::Text;

/// Text → values, in the order in which they were given.
#[derive(Debug)]
pub(super) struct Index<T> {
    starts: Vec<u32>,
    values: Vec<T>,
}

impl<T: Copy + Default> Index<T> {
    /// `texts`: how many there are. Counts, then places: linear.
    pub fn new(texts: usize, pairs: impl Iterator<Item = (Text, T)> + Clone) -> Self {
        let mut starts = vec![0_u32; texts + 2];
        let mut total = 0;
        for (text, _) in pairs.clone() {
            starts[text as usize + 2] += 1;
            total += 1;
        }
        for i in 2..starts.len() {
            starts[i] += starts[i - 1];
        }
        let mut values = vec![T::default(); total];
        for (text, value) in pairs {
            let next = &mut starts[text as usize + 1];
            values[*next as usize] = value;
            *next += 1;
        }
        Self { starts, values }
    }

    pub fn get(&self, text: Text) -> &[T] {
        let at = text as usize;
        match self.starts.get(at + 1) {
            Some(&end) => &self.values[self.starts[at] as usize..end as usize],
            None => &[],
        }
    }
}

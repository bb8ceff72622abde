//! How much memory a sandbox uses: all processes below its helper, looked at from outside a few times a second.
//!
//! `memory.peak` of a control group would be exact; but a group of one's own is to be had by few (cgroup v2, delegated), and
//! what is measured must not depend on that. Counted is what proc(5) calls resident and not shared: pages of files, which
//! all compilers of a build share, are the page cache's and can be had back.

use std::time::{Duration, Instant};

/// How often it is looked at.
const EVERY: Duration = Duration::from_millis(250);
/// More processes than this are not looked at.
const MOST: usize = 10_000;

/// Watches a process and everything below it.
pub(crate) struct Watch {
    process: u32,
    last: Instant,
    peak: u64,
}

impl Watch {
    pub(crate) fn new(process: u32) -> Self {
        Self {
            process,
            last: Instant::now(),
            peak: 0,
        }
    }

    /// Looks, if it is time.
    pub(crate) fn look(&mut self) {
        if self.last.elapsed() >= EVERY {
            self.peak = self.peak.max(memory_below(self.process));
            self.last = Instant::now();
        }
    }

    /// The most that was seen, in bytes.
    pub(crate) fn peak(&self) -> u64 {
        self.peak
    }
}

/// Memory of all processes below this one, in bytes. One that ends while it is looked at counts for nothing.
fn memory_below(process: u32) -> u64 {
    let page = u64::try_from(rustix::param::page_size()).unwrap_or(4096);
    let pages = below(process).into_iter().filter_map(own_pages);
    pages.fold(0, u64::saturating_add).saturating_mul(page)
}

/// All processes below this one. Those whose parents died belong to the first process inside.
pub(crate) fn below(process: u32) -> Vec<u32> {
    let mut found = children(process);
    let mut next = 0;
    while let Some(child) = found.get(next).copied() {
        if found.len() < MOST {
            found.extend(children(child));
        }
        next += 1;
    }
    found
}

/// The processes that any thread of this one started; without `CONFIG_PROC_CHILDREN` none.
fn children(process: u32) -> Vec<u32> {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{process}/task")) else {
        return Vec::new();
    };
    let lists = threads
        .flatten()
        .filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| {
            let numbers = list.split_ascii_whitespace().map(str::parse);
            numbers.flatten().collect::<Vec<u32>>()
        })
        .collect()
}

/// Pages in memory that are no file's (proc(5), statm).
fn own_pages(process: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/statm")).ok()?;
    let mut fields = text.split_ascii_whitespace().map(str::parse::<u64>);
    let (_, resident, shared) = (fields.next()?, fields.next()?.ok()?, fields.next()?.ok()?);
    Some(resident.saturating_sub(shared))
}

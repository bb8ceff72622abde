//! What programs may use that somebody else wrote: builds, scriptlets of packages, scripts of images.

use std::time::Duration;

use crate::{Disk, Limits};

/// What they may write, in all. The largest build of Keel Linux, a kernel, takes a sixth of it.
const DISK: Disk = Disk {
    bytes: 20 << 30,
    files: 2_000_000,
};
/// Processes and threads of all together.
const PROCESSES: u64 = 16_384;
/// From start to end.
const WALL: Duration = Duration::from_secs(6 * 3600);

impl Limits {
    /// Six hours, 20 GiB of disk, nine tenths of the machine's memory, 16384 processes.
    pub fn of_a_build(nice: i32) -> Self {
        let system = rustix::system::sysinfo();
        let memory = system.totalram.saturating_mul(u64::from(system.mem_unit));
        Self {
            nice,
            wall: Some(WALL),
            file_size: Some(DISK.bytes),
            disk: Some(DISK),
            processes: Some(PROCESSES),
            total_memory: Some(memory / 10 * 9),
            ..Self::default()
        }
    }
}

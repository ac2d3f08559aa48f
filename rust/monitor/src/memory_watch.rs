//! What a container's memory was made of when it came near its limit. After a kill everything has been given back and
//! the kernel's counters tell nothing any more, so the account is stored before.
//!
//! cgroup v1 writes to an eventfd when a threshold is crossed and when it is about to kill; v2 counts in memory.events
//! how often the limit was reached, and poll(2) tells of that. Neither costs anything while there is room.

use core::ffi::CStr;

use formats::launch_plan::LaunchPlan;
use formats::state_file::{Account, StateFile};
use kernel_calls::events::{event_descriptor, Interest};
use kernel_calls::text::Text;
use kernel_calls::{files, Fd};

use crate::cgroup_files::{field, number, open, read, EMPTY};

/// Parts of the limit, in percent, at which v1 shall tell.
const THRESHOLDS: [u64; 3] = [90, 95, 99];
/// A limit that is none, of v1: the greatest multiple of a page.
const UNLIMITED: u64 = 1 << 60;

enum Source {
    /// The eventfd of v1.
    Thresholds(Fd),
    /// memory.events of v2, read once: what comes after that is told.
    Events(Fd),
}

/// One container's memory cgroup.
pub struct MemoryWatch<'p> {
    directory: &'p [u8],
    limit: u64,
    source: Source,
}

impl<'p> MemoryWatch<'p> {
    /// `None` where the container has no memory cgroup with a limit, or the kernel doesn't tell.
    pub fn open(plan: &LaunchPlan<'p>) -> Option<MemoryWatch<'p>> {
        plan.all("cgroup")
            .map(CStr::to_bytes)
            .find_map(|directory| unified(directory).or_else(|| legacy(directory)))
    }

    /// What to wait for.
    pub fn interest(&self) -> Interest {
        match &self.source {
            Source::Thresholds(events) => Interest::read(events.raw()),
            Source::Events(events) => Interest::urgent(events.raw()),
        }
    }

    /// Stores the account, if it is not one of after the kill.
    #[inline(never)] // its buffers would be part of the frame that waits
    pub fn note(&mut self, state: &StateFile) {
        let mut content = EMPTY;
        let account = match &mut self.source {
            Source::Thresholds(events) => {
                let _ = files::read(events.raw(), &mut [0u8; 8]);
                let stat = read(self.directory, b"/memory.stat", &mut content);
                let (anonymous, file) = (field(stat, b"rss "), field(stat, b"cache "));
                Account {
                    anonymous,
                    file,
                    kernel: number(self.directory, b"/memory.kmem.usage_in_bytes"),
                }
            }
            Source::Events(events) => {
                if let Some(armed) = armed(self.directory) {
                    *events = armed;
                }
                let stat = read(self.directory, b"/memory.stat", &mut content);
                Account {
                    anonymous: field(stat, b"anon "),
                    file: field(stat, b"file "),
                    kernel: field(stat, b"kernel "),
                }
            }
        };
        if account.sum() >= self.limit / 2 {
            state.set_near_limit(account);
        }
    }
}

fn unified(directory: &[u8]) -> Option<MemoryWatch<'_>> {
    let limit = number(directory, b"/memory.max");
    let source = Source::Events(armed(directory)?);
    (limit > 0).then_some(MemoryWatch {
        directory,
        limit,
        source,
    })
}

/// memory.events, open and read: a change is told from the last reading on.
fn armed(directory: &[u8]) -> Option<Fd> {
    let events = open(directory, b"/memory.events", libc::O_RDONLY)?;
    files::read(events.raw(), &mut [0u8; 128]).ok()?;
    Some(events)
}

fn legacy(directory: &[u8]) -> Option<MemoryWatch<'_>> {
    let limit = number(directory, b"/memory.limit_in_bytes");
    if limit == 0 || limit >= UNLIMITED {
        return None;
    }
    let events = event_descriptor().ok()?;
    let usage = open(directory, b"/memory.usage_in_bytes", libc::O_RDONLY)?;
    let killing = open(directory, b"/memory.oom_control", libc::O_RDONLY)?;
    let control = open(directory, b"/cgroup.event_control", libc::O_WRONLY)?;
    for part in THRESHOLDS {
        let threshold = limit / 100 * part;
        let order = Text::<80>::of(format_args!("{} {} {threshold}", events.raw(), usage.raw()));
        files::write(control.raw(), order.bytes()).ok()?;
    }
    let order = Text::<80>::of(format_args!("{} {}", events.raw(), killing.raw()));
    files::write(control.raw(), order.bytes()).ok()?;
    Some(MemoryWatch {
        directory,
        limit,
        source: Source::Thresholds(events),
    })
}

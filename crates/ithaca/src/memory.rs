//! Which memory allocator all use, and when it gives back what it kept.
//!
//! In: threads that have nothing to do. Out: memory, to the system. What it does not do: allocators of libraries in C are
//! theirs.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// Gives memory back to the system, and keeps threads from waiting for each other. Without huge pages (its feature
/// `no_thp`): they make a process of 3 MiB one of 15.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A thread looks no more often: it goes through all pages of its memory, which takes some microseconds.
const PAUSE: Duration = Duration::from_millis(10);

thread_local! {
    static LOOKED: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Gives back what other threads have freed of this thread's memory. The allocator sees that only when the thread wants
/// more: one that reads from a connection what others use up would keep megabytes for as long as it rests. What is free then
/// goes to the system a second later, unless it is wanted again: each burst of work would have to ask for it anew.
#[allow(unsafe_code)]
pub fn give_back() {
    let now = Instant::now();
    if LOOKED.get().is_some_and(|looked| now.duration_since(looked) < PAUSE) {
        return;
    }
    LOOKED.set(Some(now));
    // SAFETY: any thread may ask for it at any time.
    unsafe { libmimalloc_sys::mi_collect(false) };
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs::File;
    use std::io::Read;

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(30);
    const MIB: usize = 1 << 20;

    #[test]
    fn what_another_thread_frees_is_given_back() {
        let blocks: Vec<Vec<u8>> = (0..256).map(|number| vec![number as u8; MIB / 4]).collect();
        std::thread::spawn(move || drop(blocks)).join().expect("it ends");
        let before = own_memory();
        let deadline = Instant::now() + DEADLINE;
        while own_memory() + 32 * MIB > before {
            assert!(Instant::now() < deadline, "{} bytes of {before} are still there", own_memory());
            give_back();
            std::thread::yield_now();
        }
    }

    /// Bytes in memory that belong to no file. It allocates nothing: whoever allocates often has the allocator look.
    fn own_memory() -> usize {
        let mut status = [0; 4096];
        let mut file = File::open("/proc/self/status").expect("Linux tells");
        let length = file.read(&mut status).expect("it can be read");
        let status = std::str::from_utf8(&status[..length]).expect("text");
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("a line");
        let kibibytes: usize = line.trim_end_matches("kB").trim().parse().expect("a number");
        kibibytes << 10
    }
}

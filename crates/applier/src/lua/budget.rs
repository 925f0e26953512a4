//! How long a script may run: in instructions, which are the same on every machine, and in time of the processor, for
//! instructions that take long.

use std::{cell::Cell, time::Duration};

use mlua::Error;
use rustix::time::{ClockId, clock_gettime};

/// Instructions in one run.
pub const INSTRUCTIONS: u32 = 1_000_000;
/// Time of the processor in one run.
pub const TIME: Duration = Duration::from_millis(100);
/// Instructions between two looks at the budget.
pub const STEP: u32 = 500;
/// What a function that is not written in Lua counts for.
pub const CALL: u32 = 20;

/// How deep calls may be nested that go out of Lua and back: each takes some ten thousand bytes of the thread's stack,
/// which Lua does not count.
const NESTING: u32 = 32;

/// What is left for the script that runs.
#[derive(Debug, Default)]
pub struct Budget {
    left: Cell<u32>,
    until: Cell<Duration>,
    spent: Cell<bool>,
    nesting: Cell<u32>,
}

impl Budget {
    /// A new run begins.
    pub fn renew(&self) {
        self.left.set(INSTRUCTIONS);
        self.until.set(processor_time() + TIME);
        self.spent.set(false);
        self.nesting.set(0);
    }

    /// Counts instructions; fails, and from then on always, when there are none left.
    pub fn spend(&self, instructions: u32) -> mlua::Result<()> {
        match self.left.get().checked_sub(instructions) {
            Some(left) if !self.is_spent() && processor_time() < self.until.get() => {
                self.left.set(left);
                Ok(())
            }
            _ => {
                self.spent.set(true);
                Err(Error::runtime("the script ran for too long"))
            }
        }
    }

    /// Goes back into Lua from a function that is not written in it.
    pub fn nested<T>(&self, call: impl FnOnce() -> mlua::Result<T>) -> mlua::Result<T> {
        self.spend(CALL)?;
        let nesting = self.nesting.get();
        if nesting >= NESTING {
            return Err(Error::runtime("stack overflow: calls are nested too deep"));
        }
        self.nesting.set(nesting + 1);
        let called = call();
        self.nesting.set(nesting);
        called
    }

    /// Whether the run that is under way, or was the last, has ended for its length.
    pub fn is_spent(&self) -> bool {
        self.spent.get()
    }
}

/// What this thread has taken so far: time in which others were at it does not count.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

//! Whether a process is ready: each part that has to be says so itself.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

/// The parts of a process that must be ready before it is.
#[derive(Clone, Debug, Default)]
pub struct Health {
    parts: Arc<Mutex<Vec<Part>>>,
}

type Part = (&'static str, Arc<AtomicBool>);

/// One part's word.
#[derive(Clone, Debug)]
pub struct ReadyFlag(Arc<AtomicBool>);

impl ReadyFlag {
    /// Says that the part is ready, or no longer is.
    pub fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Relaxed);
    }
}

impl Health {
    /// Registers a part that is not ready yet.
    pub fn part(&self, name: &'static str) -> ReadyFlag {
        let flag = Arc::new(AtomicBool::new(false));
        self.lock().push((name, flag.clone()));
        ReadyFlag(flag)
    }

    /// The parts that are waited for; none when the process is ready.
    /// Until a first part has registered, the service itself is waited for: it answers before it has begun.
    pub fn missing(&self) -> Vec<&'static str> {
        let parts = self.lock();
        if parts.is_empty() {
            return vec!["the service"];
        }
        parts.iter().filter(|(_, ready)| !ready.load(Ordering::Relaxed)).map(|(name, _)| *name).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Part>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A health check that came early was told "ready" by a process that had not begun.
    #[test]
    fn a_process_of_which_nothing_is_known_is_not_ready() {
        assert_eq!(Health::default().missing(), ["the service"]);
    }

    #[test]
    fn a_process_is_ready_when_every_part_is() {
        let health = Health::default();
        let (bus, watch) = (health.part("bus"), health.part("watch"));
        bus.set(true);
        assert_eq!(health.missing(), ["watch"]);
        watch.set(true);
        assert!(health.missing().is_empty());
        bus.set(false);
        assert_eq!(health.missing(), ["bus"]);
    }
}

//! Which application is looked at next: each by one worker at a time, as soon as something about it changed.
//!
//! What comes in: uids that became dirty, now or later. What goes out: uids to workers, a bounded number at once. A worker
//! that is slow, for what it asks takes its time to answer, holds nobody else up: another takes its place.

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use tokio::{sync::mpsc, time::Instant};

use crate::state::Uid;

/// How long a worker may be at an application before another takes its place.
const SLOW: Duration = Duration::from_secs(2);

/// How many workers there are at most for each that there may be, however slow they are.
const MOST: usize = 8;

enum Word {
    Dirty(Uid),
    At(Uid, Instant),
    Done(Uid),
}

/// The way into the queue, cheap to clone.
#[derive(Clone)]
pub struct Queue {
    words: mpsc::UnboundedSender<Word>,
}

/// The other end, for the one task that hands out work.
pub struct Dispatcher {
    words: mpsc::UnboundedReceiver<Word>,
    back: mpsc::WeakUnboundedSender<Word>,
    waiting: VecDeque<Uid>,
    queued: HashSet<Uid>,
    /// Since when.
    running: HashMap<Uid, Instant>,
    dirtied_while_running: HashSet<Uid>,
    timers: BTreeSet<(Instant, Uid)>,
    /// The one timer of each: whoever is looked at says anew when it has to be looked at again.
    due: HashMap<Uid, Instant>,
}

/// Both ends of a queue.
pub fn queue() -> (Queue, Dispatcher) {
    let (tx, rx) = mpsc::unbounded_channel();
    let dispatcher = Dispatcher {
        words: rx,
        back: tx.downgrade(),
        waiting: VecDeque::new(),
        queued: HashSet::new(),
        running: HashMap::new(),
        dirtied_while_running: HashSet::new(),
        timers: BTreeSet::new(),
        due: HashMap::new(),
    };
    (Queue { words: tx }, dispatcher)
}

impl Queue {
    /// Something about an application changed.
    pub fn dirty(&self, uid: &Uid) {
        // The dispatcher is gone only when the process ends.
        let _ = self.words.send(Word::Dirty(uid.clone()));
    }

    /// The application has to be looked at again after this time.
    pub fn dirty_after(&self, uid: &Uid, delay: Duration) {
        let _ = self.words.send(Word::At(uid.clone(), Instant::now() + delay));
    }
}

impl Dispatcher {
    /// Hands out work to at most `workers` at once, until `stop` resolves; then waits for those that are at it.
    /// `tell` learns how many applications wait or are worked on, whenever that may have changed.
    pub async fn run<W, F>(
        mut self,
        workers: usize,
        stop: impl Future<Output = ()>,
        tell: impl Fn(usize),
        work: W,
    ) where
        W: Fn(Uid) -> F,
        F: Future<Output = ()> + Send + 'static,
    {
        let mut stop = std::pin::pin!(stop);
        let mut tasks = tokio::task::JoinSet::new();
        loop {
            while self.has_room(workers)
                && let Some(uid) = self.waiting.pop_front()
            {
                self.queued.remove(&uid);
                self.running.insert(uid.clone(), Instant::now());
                let done = DoneGuard { uid: uid.clone(), back: self.back.clone() };
                let job = work(uid);
                tasks.spawn(async move {
                    job.await;
                    drop(done);
                });
            }
            tell(self.waiting.len() + self.running.len());
            let due = self.timers.first().map(|(at, _)| *at);
            let due = due.into_iter().chain(self.next_slow()).min();
            tokio::select! {
                () = &mut stop => break,
                word = self.words.recv() => match word {
                    Some(word) => self.take(word),
                    None => break,
                },
                () = sleep_until(due) => self.fire(),
                Some(_) = tasks.join_next() => {}
            }
        }
        while tasks.join_next().await.is_some() {}
    }

    /// Whether one more may be looked at.
    fn has_room(&self, workers: usize) -> bool {
        let now = Instant::now();
        let at_speed = self.running.values().filter(|since| now < **since + SLOW).count();
        at_speed < workers && self.running.len() < workers.saturating_mul(MOST)
    }

    /// When the next worker becomes slow, where somebody waits for that.
    fn next_slow(&self) -> Option<Instant> {
        let now = Instant::now();
        let slow = self.running.values().map(|since| *since + SLOW).filter(|slow| now < *slow);
        slow.min().filter(|_| !self.waiting.is_empty())
    }

    fn take(&mut self, word: Word) {
        match word {
            Word::Dirty(uid) => self.enqueue(uid),
            Word::At(uid, at) => self.set_timer(uid, at),
            Word::Done(uid) => {
                self.running.remove(&uid);
                if self.dirtied_while_running.remove(&uid) {
                    self.enqueue(uid);
                }
            }
        }
    }

    /// The earliest time counts.
    fn set_timer(&mut self, uid: Uid, at: Instant) {
        match self.due.get(&uid) {
            Some(due) if *due <= at => return,
            Some(due) => drop(self.timers.remove(&(*due, uid.clone()))),
            None => {}
        }
        self.due.insert(uid.clone(), at);
        self.timers.insert((at, uid));
    }

    fn fire(&mut self) {
        let now = Instant::now();
        while self.timers.first().is_some_and(|(at, _)| *at <= now)
            && let Some((_, uid)) = self.timers.pop_first()
        {
            self.due.remove(&uid);
            self.enqueue(uid);
        }
    }

    fn enqueue(&mut self, uid: Uid) {
        if self.running.contains_key(&uid) {
            self.dirtied_while_running.insert(uid);
        } else if self.queued.insert(uid.clone()) {
            self.waiting.push_back(uid);
        }
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// Tells that a worker ended, however it ended.
struct DoneGuard {
    uid: Uid,
    back: mpsc::WeakUnboundedSender<Word>,
}

impl Drop for DoneGuard {
    fn drop(&mut self) {
        if let Some(back) = self.back.upgrade() {
            let _ = back.send(Word::Done(Arc::clone(&self.uid)));
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::Semaphore;

    use super::*;

    #[tokio::test]
    async fn an_application_is_worked_on_by_one_worker_and_again_when_dirtied_meanwhile() {
        let (queue, dispatcher) = queue();
        let (begun_tx, mut begun) = mpsc::unbounded_channel();
        let end = Arc::new(Semaphore::new(0));
        let ends = end.clone();
        let work = move |uid: Uid| {
            let (begun, end) = (begun_tx.clone(), ends.clone());
            async move {
                assert!(begun.send(uid).is_ok());
                end.acquire().await.expect("never closed").forget();
            }
        };
        let (stop_tx, stop) = tokio::sync::oneshot::channel::<()>();
        let (depth_tx, mut depth) = tokio::sync::watch::channel(0);
        let tell = move |applications: usize| depth_tx.send_modify(|most| *most = applications.max(*most));
        let dispatch = tokio::spawn(dispatcher.run(2, async { drop(stop.await) }, tell, work));
        let (a, b): (Uid, Uid) = ("a".into(), "b".into());
        queue.dirty(&a);
        assert_eq!(begun.recv().await.as_ref(), Some(&a));
        queue.dirty(&a);
        queue.dirty(&b);
        assert_eq!(begun.recv().await.as_ref(), Some(&b), "two workers were at a");
        end.add_permits(1);
        assert_eq!(begun.recv().await.as_ref(), Some(&a), "a was dirtied while it was worked on");
        assert_eq!(*depth.borrow_and_update(), 2, "a and b");
        end.add_permits(2);
        drop(stop_tx);
        dispatch.await.expect("no panic");
    }

    /// Eight applications behind a webhook that hangs would hold up all others.
    #[tokio::test(start_paused = true)]
    async fn workers_that_are_slow_hold_up_nobody_else() {
        let (queue, dispatcher) = queue();
        let (begun_tx, mut begun) = mpsc::unbounded_channel();
        let work = move |uid: Uid| {
            let begun = begun_tx.clone();
            async move {
                assert!(begun.send(uid).is_ok());
                std::future::pending().await
            }
        };
        let dispatch = tokio::spawn(dispatcher.run(2, std::future::pending(), |_| {}, work));
        let started = Instant::now();
        (0..20).for_each(|number| queue.dirty(&format!("{number}").into()));
        for number in 0..2 * MOST {
            let next = tokio::time::timeout(SLOW * 10, begun.recv()).await;
            assert!(next.is_ok(), "number {number} waits for ever");
            let turns = u32::try_from(number / 2).expect("few");
            assert!(started.elapsed() >= SLOW * turns, "more than two at once");
            assert!(started.elapsed() < SLOW * (turns + 1), "number {number} waited for those before");
        }
        let more = tokio::time::timeout(SLOW * 10, begun.recv()).await;
        assert!(more.is_err(), "there is a limit");
        dispatch.abort();
    }
}

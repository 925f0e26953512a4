//! Which application is looked at next: each by one worker at a time, as soon as something about it changed.
//!
//! What comes in: uids that became dirty, now or later. What goes out: uids to workers, a bounded number at once.

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use tokio::{sync::mpsc, time::Instant};

use crate::state::Uid;

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
    running: HashSet<Uid>,
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
        running: HashSet::new(),
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
            while self.running.len() < workers
                && let Some(uid) = self.waiting.pop_front()
            {
                self.queued.remove(&uid);
                self.running.insert(uid.clone());
                let done = DoneGuard { uid: uid.clone(), back: self.back.clone() };
                let job = work(uid);
                tasks.spawn(async move {
                    job.await;
                    drop(done);
                });
            }
            tell(self.waiting.len() + self.running.len());
            let due = self.timers.first().map(|(at, _)| *at);
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
        if self.running.contains(&uid) {
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
}

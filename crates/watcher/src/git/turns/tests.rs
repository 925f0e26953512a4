//! The order of turns, and that no remote holds up another.

use super::*;

const NOBODY: [u64; 0] = [];

/// A queue, and a clock that goes when it is told to.
struct World {
    queue: Queue,
    now: Instant,
}

impl World {
    fn new() -> Self {
        Self { queue: Queue::new(), now: Instant::now() }
    }

    fn join(&mut self, count: usize) -> Vec<u64> {
        (0..count).map(|_| self.queue.join(self.now + PATIENCE)).collect()
    }

    /// Which of these begin when they ask.
    fn begin(&mut self, numbers: &[u64]) -> Vec<u64> {
        let mut begun = Vec::new();
        for number in numbers {
            if self.queue.waiting.contains_key(number) && self.queue.begin(*number, self.now).is_none() {
                begun.push(*number);
            }
        }
        begun
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }
}

#[test]
fn turns_are_given_to_two_at_a_time_in_the_order_in_which_they_were_asked_for() {
    let mut world = World::new();
    let all = world.join(5);
    let reversed: Vec<u64> = all.iter().rev().copied().collect();
    // Whoever asks first: its turn comes with its number.
    assert_eq!(world.begin(&reversed), [2, 1]);
    assert_eq!(world.begin(&all), NOBODY);
    world.queue.end(2);
    assert_eq!(world.begin(&reversed), [3]);
    world.queue.end(1);
    world.queue.end(3);
    assert_eq!(world.begin(&reversed), [5, 4]);
}

#[test]
fn a_remote_that_is_silent_holds_up_others_no_longer_than_its_allowance() {
    let mut world = World::new();
    let all = world.join(6);
    assert_eq!(world.begin(&all), [1, 2]);
    world.queue.waits(1, world.now);
    world.queue.waits(2, world.now);
    assert_eq!(world.queue.begin(3, world.now), Some(world.now + REMOTE));
    world.pass(REMOTE - Duration::from_millis(1));
    assert_eq!(world.begin(&all), NOBODY);
    world.pass(Duration::from_millis(1));
    assert_eq!(world.begin(&all), [3, 4]);
    // Though it goes on later: it may be silent again.
    world.queue.goes_on(1, world.now);
    world.queue.end(3);
    assert_eq!(world.begin(&all), [5]);
}

#[test]
fn a_remote_that_gives_a_little_at_a_time_is_as_slow_as_one_that_is_silent() {
    let mut world = World::new();
    let all = world.join(3);
    assert_eq!(world.begin(&all), [1, 2]);
    for _ in 0..25 {
        assert_eq!(world.begin(&all), NOBODY);
        world.queue.waits(1, world.now);
        world.pass(REMOTE / 25);
        world.queue.goes_on(1, world.now);
    }
    assert_eq!(world.begin(&all), [3]);
}

#[test]
fn work_that_takes_long_is_no_wait_for_a_remote() {
    let mut world = World::new();
    let all = world.join(3);
    assert_eq!(world.begin(&all), [1, 2]);
    world.pass(PATIENCE - Duration::from_millis(1));
    assert_eq!(world.begin(&all), NOBODY);
}

#[test]
fn nobody_waits_for_ever() {
    let mut world = World::new();
    let all = world.join(5);
    assert_eq!(world.begin(&all), [1, 2]);
    world.pass(PATIENCE);
    let later = world.join(1);
    assert_eq!(world.begin(&all), [3, 4, 5]);
    assert_eq!(world.begin(&later), NOBODY);
}

#[test]
fn who_waits_looks_again_when_it_may_be_another_s_turn() {
    let mut world = World::new();
    let all = world.join(3);
    world.begin(&all);
    // Both could begin to wait at once.
    assert_eq!(world.queue.begin(3, world.now), Some(world.now + REMOTE));
    world.queue.waits(2, world.now);
    world.pass(REMOTE / 2);
    assert_eq!(world.queue.begin(3, world.now), Some(world.now + REMOTE / 2));
}

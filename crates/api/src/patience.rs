//! How long a watch of the API server that failed waits before it is begun anew. Pure.

use std::time::Duration;

use backon::ExponentialBuilder;
use kube::runtime::watcher::ExponentialBackoff;

const SHORTEST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(4);

/// The pauses of one watch, without end. All have to see soon that an API server is back, however long it was away, and
/// not all at the same moment.
#[must_use]
pub fn patience() -> ExponentialBackoff {
    let builder = ExponentialBuilder::new().with_min_delay(SHORTEST).with_max_delay(LONGEST);
    builder.without_max_times().with_jitter().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_is_begun_anew_for_ever_and_never_waits_long() {
        let mut pauses = patience();
        let all: Vec<_> = (0..1_000).map_while(|_| pauses.next()).collect();
        assert_eq!(all.len(), 1_000, "it gives up");
        assert!(all.iter().all(|pause| (SHORTEST..=2 * LONGEST).contains(pause)), "{:?}", all.iter().max());
    }
}

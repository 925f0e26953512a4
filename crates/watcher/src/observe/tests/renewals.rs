//! Applications are rendered anew once in an interval, though nothing changed.

use std::collections::BTreeSet;

use super::*;
use crate::schedule::Policy;

/// Plugins may render something else though nothing changed.
#[test]
fn all_are_rendered_anew_once_in_an_interval_and_not_at_once() {
    let names: Vec<String> = (0..20).map(|number| format!("a{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut world = World::new().with(&names[..10]);
    world.settle();
    assert!(world.wait(4_000 * SECOND).is_empty());
    world.observer.policy(world.now, Policy { hard: 3_600 * SECOND, ..POLICY });
    world = world.with(&names[10..]);
    world.settle();
    world.observer.removed("a19");
    let first = world.wait(1_800 * SECOND);
    assert!(!first.is_empty() && first.len() < 19, "{:?}", texts(&first));
    let said: Vec<_> = first.into_iter().chain(world.wait(1_800 * SECOND)).collect();
    assert!(said.iter().all(|publication| publication.fact.refresh() == Refresh::Hard));
    let uids: BTreeSet<_> = said.iter().map(|publication| publication.key.uid.clone()).collect();
    assert_eq!((uids.len(), said.len()), (19, 19));
    assert_eq!(world.wait(3_600 * SECOND).len(), 19);
    world.observer.policy(world.now, POLICY);
    assert!(world.wait(7_200 * SECOND).is_empty());
}

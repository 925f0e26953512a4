//! What sources may be made with is known before anything is said, and holds at once.

use std::collections::BTreeMap;

use super::*;
use crate::tools::Tools;

#[test]
fn what_sources_may_be_made_with_is_told_with_them() {
    let mut world = World::new().with(&["a"]);
    assert!(world.settle()[0].fact.disabled_tools.is_empty());
    let without = |key: &str| Tools::of(&BTreeMap::from([(key.to_owned(), "false".to_owned())]));
    world.observer.tools(world.now, without("helm.enable"));
    let said = world.settle();
    assert_eq!(said[0].fact.disabled_tools, ["helm"]);
    world.observer.tools(world.now, without("helm.enable"));
    assert!(world.settle().is_empty());
    world.observer.tools(world.now, without("jsonnet.enable"));
    assert_eq!(world.settle()[0].fact.disabled_tools, ["jsonnet"]);
}

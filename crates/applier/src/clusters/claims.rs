//! Which applications want which objects of a cluster.
//!
//! What comes in: what applications want. What goes out: who wants an object, and who wants the same. Most objects are
//! wanted by one application; the few that several want cost a little more.

use std::{collections::HashMap, sync::Arc};

use crate::{desired::Desired, object::ObjectKey, state::Uid};

/// Who wants what.
#[derive(Debug, Default)]
pub struct Claims {
    /// Of several applications the one that said so last.
    last: HashMap<ObjectKey, Claim>,
    /// The earlier ones.
    earlier: HashMap<ObjectKey, Vec<Claim>>,
}

type Claim = (Uid, Arc<Desired>);

impl Claims {
    /// How an object is wanted: of several applications the one that said so last counts.
    pub fn wanted(&self, key: &ObjectKey) -> Option<&Arc<Desired>> {
        self.last.get(key).map(|(_, desired)| desired)
    }

    /// All who want an object.
    pub fn claimants(&self, key: &ObjectKey) -> impl Iterator<Item = &Uid> {
        let earlier = self.earlier.get(key).into_iter().flatten();
        earlier.chain(self.last.get(key)).map(|(uid, _)| uid)
    }

    /// The objects of an application that others want as well, and who.
    pub fn rivals<'a>(&'a self, uid: &'a str) -> impl Iterator<Item = (&'a ObjectKey, &'a Uid)> {
        let own = self.earlier.keys().filter(move |key| self.claimants(key).any(|one| **one == *uid));
        own.flat_map(move |key| {
            let others = self.claimants(key).filter(move |one| ***one != *uid);
            others.map(move |other| (key, other))
        })
    }

    /// An application wants this from now on.
    pub fn want(&mut self, uid: &Uid, objects: &[Arc<Desired>]) {
        self.forget(uid, objects);
        for desired in objects {
            let before = self.last.insert(desired.key.clone(), (uid.clone(), desired.clone()));
            if let Some(other) = before {
                self.earlier.entry(desired.key.clone()).or_default().push(other);
            }
        }
    }

    /// An application wants this no more.
    pub fn forget(&mut self, uid: &str, objects: &[Arc<Desired>]) {
        for key in objects.iter().map(|desired| &desired.key) {
            if let Some(earlier) = self.earlier.get_mut(key) {
                earlier.retain(|(other, _)| **other != *uid);
            }
            if self.last.get(key).is_some_and(|(owner, _)| **owner == *uid) {
                match self.earlier.get_mut(key).and_then(Vec::pop) {
                    Some(other) => drop(self.last.insert(key.clone(), other)),
                    None => drop(self.last.remove(key)),
                }
            }
            if self.earlier.get(key).is_some_and(Vec::is_empty) {
                self.earlier.remove(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::desired::{Owner, assemble};

    fn objects(names: &[&str]) -> Vec<Arc<Desired>> {
        let manifest =
            |name: &&str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
        let owner = Owner { namespace: "web".to_owned(), ..Owner::default() };
        assemble(names.iter().map(manifest).collect(), &owner, &|_| Some(true)).objects
    }

    #[test]
    fn who_wants_the_same_is_known_until_one_of_them_wants_it_no_more() {
        let (one, two): (Uid, Uid) = ("one".into(), "two".into());
        let (some, more) = (objects(&["a", "b"]), objects(&["b", "c"]));
        let mut claims = Claims::default();
        claims.want(&one, &some);
        assert_eq!(claims.rivals("one").count(), 0);
        claims.want(&two, &more);
        let b = &some[1].key;
        assert_eq!(claims.rivals("one").collect::<Vec<_>>(), [(b, &two)]);
        assert_eq!(claims.rivals("two").collect::<Vec<_>>(), [(b, &one)]);
        assert_eq!(claims.claimants(b).collect::<Vec<_>>(), [&one, &two]);
        assert!(claims.wanted(b).is_some_and(|desired| Arc::ptr_eq(desired, &more[0])));
        claims.want(&one, &some);
        assert!(claims.wanted(b).is_some_and(|desired| Arc::ptr_eq(desired, &some[1])));
        assert_eq!(claims.claimants(b).collect::<Vec<_>>(), [&two, &one]);
        claims.forget("one", &some);
        assert!(claims.wanted(b).is_some_and(|desired| Arc::ptr_eq(desired, &more[0])), "it is forgotten");
        assert_eq!(claims.rivals("two").count(), 0);
        claims.forget("two", &more);
        assert!(some.iter().chain(&more).all(|desired| claims.claimants(&desired.key).next().is_none()));
    }
}

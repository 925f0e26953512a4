//! Applying what Git wants without touching what does not count (`RespectIgnoreDifferences`).
//!
//! What comes in: a wanted and a live object, and the places that do not count in either. What goes out: the wanted
//! object with the live values at those places. What others alone own is left out instead: server-side apply leaves it
//! to them then, also if they write it between our look and our apply. What we own is put in even where Git no longer
//! has it: leaving it out would take it away. Never `status`.

use ithaca_api::annotation::FIELD_MANAGER;
use serde_json::{Map, Value};

use super::place::{self, Place, Step};
use crate::judge::{
    field_set::{Element, FieldSet, find_item},
    managed,
};

/// The wanted object with the live values where differences do not count.
pub(super) fn respect(wanted: &Value, live: &Value, in_wanted: Vec<Place>, in_live: Vec<Place>) -> Value {
    let mut respected = wanted.clone();
    let mut gone = Vec::new();
    let owners = Owners::of(live);
    for at in in_wanted.into_iter().filter(is_no_status) {
        match owners.counterpart(wanted, live, &at) {
            Some(there) if !owners.leave_to_others(live, &there) => {
                let value = place::get(live, &there).cloned().unwrap_or_default();
                place::replace(&mut respected, &at, value);
            }
            _ => gone.push(at),
        }
    }
    for at in in_live.into_iter().filter(is_no_status) {
        if owners.are_we(live, &at) {
            owners.insert(&mut respected, live, &at);
        }
    }
    place::remove(&mut respected, gone, false);
    respected
}

fn is_no_status(place: &Place) -> bool {
    !matches!(place.first(), Some(Step::Field(name)) if name == "status")
}

/// Who owns what in a live object.
struct Owners<'a> {
    ours: Vec<&'a FieldSet>,
    theirs: Vec<&'a FieldSet>,
}

/// How a manager owns a place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hold {
    None,
    /// The place itself, or something in it.
    Itself,
    /// As a part of something that is owned as a whole.
    Within,
}

impl<'a> Owners<'a> {
    fn of(live: &'a Value) -> Self {
        let (ours, theirs): (Vec<_>, Vec<_>) =
            managed::entries(live).partition(|entry| entry.is_applied_by(FIELD_MANAGER));
        let fields =
            |entries: Vec<managed::Entry<'a>>| entries.iter().filter_map(|entry| entry.fields).collect();
        Self { ours: fields(ours), theirs: fields(theirs) }
    }

    fn are_we(&self, live: &Value, place: &Place) -> bool {
        self.ours.iter().any(|set| hold(set, live, place) == Hold::Itself)
    }

    /// Whether others, and not we, own a place that can be owned by itself.
    fn leave_to_others(&self, live: &Value, place: &Place) -> bool {
        let is_ours = self.ours.iter().any(|set| hold(set, live, place) != Hold::None);
        let theirs: Vec<Hold> = self.theirs.iter().map(|set| hold(set, live, place)).collect();
        !is_ours && theirs.contains(&Hold::Itself) && !theirs.contains(&Hold::Within)
    }

    /// The place in the live object that is the same as one in the wanted object. None where there is nothing.
    fn counterpart(&self, wanted: &Value, live: &Value, place: &Place) -> Option<Place> {
        let (mut here, mut there) = (wanted, live);
        let mut sets: Vec<&FieldSet> = self.ours.iter().chain(&self.theirs).copied().collect();
        let mut found = Place::new();
        for step in place {
            let step = match (step, there.as_array()) {
                (Step::Item(index), Some(items)) => match key_of(&sets, here.get(index)?) {
                    Some(key) => Step::Item(find_item(items, &key)?),
                    None => step.clone(),
                },
                (step, _) => step.clone(),
            };
            sets = below(&sets, &step, there);
            here = place::below(here, place.get(found.len())?)?;
            there = place::below(there, &step)?;
            found.push(step);
        }
        Some(found)
    }

    /// Puts a live value into the wanted object, at the same place. Where the item of a list that it belongs to is no
    /// longer wanted, nothing is put.
    fn insert(&self, wanted: &mut Value, live: &Value, place: &Place) {
        let Some(value) = place::get(live, place) else { return };
        let (mut here, mut there) = (wanted, live);
        let mut sets: Vec<&FieldSet> = self.ours.iter().chain(&self.theirs).copied().collect();
        for (depth, step) in place.iter().enumerate() {
            let is_last = depth + 1 == place.len();
            let Some(below_there) = place::below(there, step) else { return };
            let next = match (step, here) {
                (Step::Field(name), Value::Object(fields)) if is_last => {
                    fields.entry(name.clone()).or_insert_with(|| value.clone());
                    return;
                }
                (Step::Field(name), Value::Object(fields)) => {
                    if !fields.contains_key(name) && !below_there.is_object() {
                        return;
                    }
                    fields.entry(name.clone()).or_insert_with(|| Value::Object(Map::new()))
                }
                (Step::Item(_), Value::Array(items)) => {
                    let index = key_of(&sets, below_there).and_then(|key| find_item(items, &key));
                    let Some(item) = index.and_then(|index| items.get_mut(index)) else { return };
                    item
                }
                _ => return,
            };
            sets = below(&sets, step, there);
            (here, there) = (next, below_there);
        }
    }
}

/// The key by which one of the sets knows an item of the list here.
fn key_of(sets: &[&FieldSet], item: &Value) -> Option<Map<String, Value>> {
    let names = sets.iter().flat_map(|set| set.keys());
    names
        .filter_map(|name| match Element::parse(name) {
            Some(Element::Key(key)) => Some(key),
            _ => None,
        })
        .find(|key| find_item(std::slice::from_ref(item), key).is_some())
}

/// The parts of the sets below a step.
fn below<'a>(sets: &[&'a FieldSet], step: &Step, value: &Value) -> Vec<&'a FieldSet> {
    sets.iter().filter_map(|set| below_one(set, step, value)).collect()
}

fn below_one<'a>(set: &'a FieldSet, step: &Step, value: &Value) -> Option<&'a FieldSet> {
    match step {
        Step::Field(name) => set.get(&format!("f:{name}"))?.as_object(),
        Step::Item(index) => {
            let item = value.get(index)?;
            let is_it = |name: &String| match Element::parse(name) {
                Some(Element::Key(key)) => find_item(std::slice::from_ref(item), &key).is_some(),
                Some(Element::Value(wanted)) => *item == wanted,
                _ => false,
            };
            set.iter().find(|(name, _)| is_it(name))?.1.as_object()
        }
    }
}

fn hold(set: &FieldSet, live: &Value, place: &Place) -> Hold {
    let (mut set, mut here) = (set, live);
    for (depth, step) in place.iter().enumerate() {
        if set.is_empty() && depth > 0 {
            return Hold::Within;
        }
        let (Some(set_below), Some(value)) = (below_one(set, step, here), place::below(here, step)) else {
            return Hold::None;
        };
        (set, here) = (set_below, value);
    }
    Hold::Itself
}

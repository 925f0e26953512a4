//! The places of an object that certain managers own.
//!
//! What comes in: managers, an object, and the live object that says who owns what. What goes out: places that are
//! there in the object. What identifies an item of a list stays, or the rest of the item could not be told apart.

use serde_json::{Map, Value};

use super::place::{Place, Step};
use crate::judge::{
    field_set::{Element, FieldSet, find_item},
    managed,
};

/// Adds the places of `object` that one of the managers owns in `live`.
pub(super) fn places(managers: &[String], object: &Value, live: &Value, places: &mut Vec<Place>) {
    if managers.is_empty() {
        return;
    }
    let theirs = managed::entries(live).filter(|entry| managers.iter().any(|name| name == entry.manager));
    for fields in theirs.filter_map(|entry| entry.fields) {
        walk(fields, object, &mut Vec::new(), &Map::new(), places);
    }
}

fn walk(set: &FieldSet, value: &Value, here: &mut Place, key: &Map<String, Value>, places: &mut Vec<Place>) {
    for (name, below) in set {
        let Some(below) = below.as_object() else { continue };
        let step = match Element::parse(name) {
            Some(Element::Field(field)) if !key.contains_key(field) => Step::Field(field.to_owned()),
            Some(Element::Key(key)) => {
                let item = value.as_array().and_then(|items| Some((find_item(items, &key)?, items)));
                if let Some((index, items)) = item {
                    here.push(Step::Item(index));
                    walk(below, &items[index], here, &key, places);
                    here.pop();
                }
                continue;
            }
            Some(Element::Value(wanted)) => {
                let index = value.as_array().and_then(|items| items.iter().position(|item| *item == wanted));
                let Some(index) = index else { continue };
                Step::Item(index)
            }
            _ => continue,
        };
        let Some(inner) = super::place::below(value, &step) else { continue };
        here.push(step);
        if below.is_empty() {
            places.push(here.clone());
        } else {
            walk(below, inner, here, &Map::new(), places);
        }
        here.pop();
    }
}

//! Places in JSON: found by pointers, taken out of an object, read and written.
//!
//! What comes in: pointers (RFC 6901) and objects. What goes out: places that are there, and objects without them.

use serde_json::{Map, Value};

/// One step down.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// To the field of an object.
    Field(String),
    /// To the item of a list, from 0.
    Item(usize),
}

/// A place in an object, from the top.
pub(super) type Place = Vec<Step>;

/// A JSON pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pointer(Vec<String>);

impl Pointer {
    /// Reads a pointer: empty, or names that each begin with a slash.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut names = text.split('/');
        if names.next().is_some_and(|first| !first.is_empty()) {
            return Err(format!("a JSON pointer begins with a slash: write /{text}"));
        }
        names.map(unescape).collect::<Option<_>>().map(Self).ok_or_else(|| {
            format!("in the JSON pointer {text} stands a ~ that is not written as ~0 (or ~1 for a slash)")
        })
    }

    /// Where it leads in an object. None where there is nothing.
    pub fn find(&self, object: &Value) -> Option<Place> {
        let mut place = Place::with_capacity(self.0.len());
        let mut here = object;
        for name in &self.0 {
            let step = match here {
                Value::Array(_) if is_index(name) => Step::Item(name.parse().ok()?),
                Value::Object(_) => Step::Field(name.clone()),
                _ => return None,
            };
            here = below(here, &step)?;
            place.push(step);
        }
        Some(place)
    }
}

fn unescape(name: &str) -> Option<String> {
    let mut parts = name.split('~');
    let mut text = parts.next()?.to_owned();
    for part in parts {
        let (letter, rest) = (part.chars().next()?, part.get(1..)?);
        text.push(match letter {
            '0' => '~',
            '1' => '/',
            _ => return None,
        });
        text.push_str(rest);
    }
    Some(text)
}

fn is_index(name: &str) -> bool {
    name == "0" || !name.starts_with('0') && name.bytes().all(|byte| byte.is_ascii_digit())
}

/// What a step leads to.
pub(super) fn below<'a>(value: &'a Value, step: &Step) -> Option<&'a Value> {
    match step {
        Step::Field(name) => value.get(name),
        Step::Item(index) => value.get(index),
    }
}

fn below_mut<'a>(value: &'a mut Value, step: &Step) -> Option<&'a mut Value> {
    match step {
        Step::Field(name) => value.get_mut(name),
        Step::Item(index) => value.get_mut(index),
    }
}

/// What is at a place.
pub(super) fn get<'a>(object: &'a Value, place: &[Step]) -> Option<&'a Value> {
    place.iter().try_fold(object, below)
}

/// Puts a value where another is.
pub(super) fn replace(object: &mut Value, place: &[Step], value: Value) {
    let target = place.iter().try_fold(object, |here, step| below_mut(here, step));
    if let Some(target) = target {
        *target = value;
    }
}

/// Each place once and in order, without those that are within another.
pub(super) fn outermost(mut places: Vec<Place>) -> Vec<Place> {
    places.sort_unstable();
    // What is within a place comes right behind it.
    places.dedup_by(|place, outer| place.starts_with(outer));
    places
}

/// Takes places out of an object. With `tidy`, what is left empty by it goes too.
pub(super) fn remove(object: &mut Value, places: Vec<Place>, tidy: bool) {
    // From the end to the beginning, so that no item moves before its own turn.
    for place in outermost(places).iter().rev() {
        remove_one(object, place, tidy);
    }
}

fn remove_one(value: &mut Value, place: &[Step], tidy: bool) {
    let Some((step, rest)) = place.split_first() else {
        *value = Value::Object(Map::new());
        return;
    };
    if !rest.is_empty() {
        let Some(inner) = below_mut(value, step) else { return };
        remove_one(inner, rest, tidy);
        let emptied =
            inner.as_object().is_some_and(Map::is_empty) || inner.as_array().is_some_and(Vec::is_empty);
        if !(tidy && emptied) {
            return;
        }
    }
    match (value, step) {
        (Value::Object(fields), Step::Field(name)) => drop(fields.remove(name)),
        (Value::Array(items), Step::Item(index)) if *index < items.len() => drop(items.remove(*index)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn object() -> Value {
        json!({"a": {"b/c": [{"d": 1}, {"d": 2}], "e~": null, "": 0, "07": 1}, "f": [1, 2, 3]})
    }

    #[rstest]
    #[case::field("/a/e~0", Some(json!(null)))]
    #[case::slash("/a/b~1c/1/d", Some(json!(2)))]
    #[case::empty_name("/a/", Some(json!(0)))]
    #[case::digits_as_a_name("/a/07", Some(json!(1)))]
    #[case::whole("", Some(object()))]
    #[case::gone("/a/x", None)]
    #[case::beyond("/f/3", None)]
    #[case::no_index("/f/01", None)]
    #[case::end_of_list("/f/-", None)]
    #[case::below_a_number("/f/0/x", None)]
    fn pointers_lead_to_what_is_there(#[case] pointer: &str, #[case] expected: Option<Value>) {
        let object = object();
        let place = Pointer::parse(pointer).expect("a pointer").find(&object);
        assert_eq!(place.and_then(|place| get(&object, &place).cloned()), expected);
    }

    #[rstest]
    #[case("spec/replicas")]
    #[case("/a/~2")]
    #[case("/a~")]
    fn what_is_no_pointer_is_told(#[case] pointer: &str) {
        assert!(Pointer::parse(pointer).is_err());
    }

    #[test]
    fn places_go_whatever_their_order() {
        let mut value = object();
        let places = ["/f/0", "/f/2", "/a/b~1c/0", "/a/b~1c/0/d", "/f/0"];
        let places = places.iter().filter_map(|pointer| Pointer::parse(pointer).ok()?.find(&value)).collect();
        remove(&mut value, places, false);
        assert_eq!(value, json!({"a": {"b/c": [{"d": 2}], "e~": null, "": 0, "07": 1}, "f": [2]}));
    }

    #[test]
    fn what_is_within_another_place_is_not_a_place_of_its_own() {
        let places =
            [json!(["a", "b"]), json!(["a"]), json!(["b"]), json!(["a", "c"]), json!(["ab"]), json!(["a"])];
        let step = |name: &Value| Step::Field(name.as_str().expect("a name").to_owned());
        let places = places.iter().map(|place| place.as_array().expect("steps").iter().map(step).collect());
        let names: Vec<Place> = outermost(places.collect());
        assert_eq!(names, ["a", "ab", "b"].map(|name| vec![Step::Field(name.to_owned())]));
    }

    #[rstest]
    #[case(false, json!({"a": {"b": {}}}))]
    #[case(true, json!({}))]
    fn what_is_left_empty_goes_when_tidied(#[case] tidy: bool, #[case] expected: Value) {
        let mut value = json!({"a": {"b": {"c": 1}}});
        let place = Pointer::parse("/a/b/c").expect("a pointer").find(&value).expect("a place");
        remove(&mut value, vec![place], tidy);
        assert_eq!(value, expected);
    }
}

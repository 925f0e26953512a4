//! From the parts of an index to the versions of one chart. What has an unexpected type is passed over: one odd entry
//! must not hide the others.

use std::fmt;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

/// One version of a chart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// As written.
    pub version: String,
    /// Where its archive is, absolute or as seen from the index.
    pub urls: Vec<String>,
    /// The SHA-256 of the archive in hexadecimal digits; empty where the index does not say.
    pub digest: String,
}

/// The whole index. Gives whether the chart is in it.
pub(super) struct Index<'a, F> {
    pub(super) chart: &'a str,
    pub(super) take: &'a mut F,
}

impl<'de, F: FnMut(Entry)> DeserializeSeed<'de> for Index<'_, F> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, F: FnMut(Entry)> Visitor<'de> for Index<'_, F> {
    type Value = bool;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an index of charts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let (mut found, mut is_index) = (false, false);
        while let Some(Text(key)) = map.next_key()? {
            is_index |= key == "apiVersion" || key == "entries";
            if key == "entries" {
                found |= map.next_value_seed(Charts { chart: self.chart, take: &mut *self.take })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        if is_index { Ok(found) } else { Err(A::Error::custom("it has neither apiVersion nor entries")) }
    }
}

/// The charts of an index, by name.
struct Charts<'a, F> {
    chart: &'a str,
    take: &'a mut F,
}

impl<'de, F: FnMut(Entry)> DeserializeSeed<'de> for Charts<'_, F> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, F: FnMut(Entry)> Visitor<'de> for Charts<'_, F> {
    type Value = bool;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("charts by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let mut found = false;
        while let Some(Text(chart)) = map.next_key()? {
            if chart == self.chart {
                found = true;
                map.next_value_seed(Versions { take: &mut *self.take })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }
}

/// The versions of the chart.
struct Versions<'a, F> {
    take: &'a mut F,
}

impl<'de, F: FnMut(Entry)> DeserializeSeed<'de> for Versions<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, F: FnMut(Entry)> Visitor<'de> for Versions<'_, F> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of versions")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut versions: A) -> Result<(), A::Error> {
        while let Some(Written(entry)) = versions.next_element()? {
            (self.take)(entry);
        }
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// A version as it is written; one that is no map is empty.
struct Written(Entry);

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Entry;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a version of a chart")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entry, A::Error> {
                let mut entry = Entry::default();
                while let Some(Text(key)) = map.next_key()? {
                    match key.as_str() {
                        "version" => entry.version = map.next_value::<Text>()?.0,
                        "digest" => entry.digest = map.next_value::<Text>()?.0,
                        "urls" => entry.urls = map.next_value::<Texts>()?.0,
                        _ => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(entry)
            }

            fn visit_unit<E>(self) -> Result<Entry, E> {
                Ok(Entry::default())
            }
        }
        deserializer.deserialize_any(Fields).map(Self)
    }
}

/// A text; empty where there is something else.
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Lenient::default()).map(|lenient| Self(lenient.text))
    }
}

/// The texts of a list; empty where there is something else.
struct Texts(Vec<String>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Lenient::default()).map(|lenient| Self(lenient.list))
    }
}

/// Whatever there is, of which texts and lists of them are kept.
#[derive(Default)]
struct Lenient {
    text: String,
    list: Vec<String>,
}

impl<'de> Visitor<'de> for Lenient {
    type Value = Self;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("anything")
    }

    fn visit_str<E>(self, text: &str) -> Result<Self, E> {
        Ok(Self { text: text.to_owned(), ..self })
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<Self, A::Error> {
        while let Some(Text(text)) = items.next_element()? {
            if !text.is_empty() {
                self.list.push(text);
            }
        }
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }
}

//! JSON values that count what is done with them, so that no jq expression of a user runs for long.
//!
//! What comes in: operations of the jq engine. What goes out: their results while there is fuel, and errors or nothing
//! once there is none. Each operation costs about as much fuel as it costs time and memory. The count is the
//! thread's: values know no context, and a run never leaves its thread.

use std::{
    cell::Cell,
    cmp::Ordering,
    fmt,
    ops::{Add, Div, Mul, Neg, Rem, Sub},
};

use jaq_core::{ValR as Outcome, ValT, ValX, box_iter::BoxIter, path::Opt, val::Range};
use jaq_json::Val;

/// What one run may cost: some tens of milliseconds at the worst. Looking at each of ten thousand fields costs a part of it.
const FUEL: usize = 100_000;

/// Bytes of text that cost as much as one step.
const BYTES: usize = 32;

thread_local! {
    static LEFT: Cell<usize> = const { Cell::new(0) };
}

type Error = jaq_core::Error<Metered>;

/// A JSON value.
#[derive(Clone, Debug)]
pub(super) struct Metered(pub Val);

/// Runs something with fresh fuel.
pub(super) fn run<T>(job: impl FnOnce() -> T) -> T {
    LEFT.set(FUEL);
    job()
}

/// Takes fuel; false once there is none.
pub(super) fn spend(steps: usize) -> bool {
    let left = LEFT.get().saturating_sub(steps);
    LEFT.set(left);
    left > 0
}

/// Takes fuel or fails.
pub(super) fn pay(steps: usize) -> Result<(), Error> {
    if spend(steps) { Ok(()) } else { Err(Error::str("it takes too many steps")) }
}

/// What a look at the whole of a value costs.
pub(super) fn weight(value: &Val) -> usize {
    fn count(value: &Val, left: usize) -> usize {
        let within = |items: &mut dyn Iterator<Item = &Val>| {
            let mut sum = 1;
            while let Some(item) = items.next().filter(|_| sum < left) {
                sum += count(item, left - sum);
            }
            sum
        };
        match value {
            Val::Arr(items) => within(&mut items.iter()),
            Val::Obj(fields) => within(&mut fields.values()),
            other => size(other),
        }
    }
    count(value, LEFT.get().max(1))
}

/// What a comparison of two values costs.
fn comparing(one: &Val, other: &Val) -> usize {
    match (one, other) {
        (Val::Arr(_), Val::Arr(_)) | (Val::Obj(_), Val::Obj(_)) => weight(one) + weight(other),
        (one, other) => size(one).min(size(other)),
    }
}

/// What a shallow copy of a value costs.
fn size(value: &Val) -> usize {
    match value {
        Val::Arr(items) => 1 + items.len(),
        Val::Obj(fields) => 1 + fields.len(),
        Val::TStr(text) | Val::BStr(text) => 1 + text.len() / BYTES,
        Val::Null | Val::Bool(_) | Val::Num(_) => 1,
    }
}

fn metered(outcome: Result<Val, jaq_json::Error>) -> Outcome<Metered> {
    outcome.map(Metered).map_err(|error| Error::new(Metered(error.into_val())))
}

/// A result that is paid for by its size.
fn paid(outcome: Result<Val, jaq_json::Error>) -> Outcome<Metered> {
    let value = metered(outcome)?;
    pay(size(&value.0))?;
    Ok(value)
}

fn refuse<T>(what: &str) -> Result<T, Error> {
    Err(Error::str(what))
}

/// Numbers of which no operation makes endless ones.
fn is_small(value: &Val) -> bool {
    use jaq_std::ValT as _;
    matches!(value, Val::Num(_)) && (value.as_isize().is_some() || !value.is_int())
}

impl ValT for Metered {
    fn from_num(text: &str) -> Outcome<Self> {
        pay(1 + text.len())?;
        metered(Val::from_num(text))
    }

    fn from_map<I: IntoIterator<Item = (Self, Self)>>(fields: I) -> Outcome<Self> {
        let fields = fields.into_iter().take_while(|_| spend(1));
        let map = metered(Val::from_map(fields.map(|(name, value)| (name.0, value.0))))?;
        pay(1)?;
        Ok(map)
    }

    fn key_values(self) -> BoxIter<'static, Outcome<(Self, Self), Self>> {
        if let Err(error) = pay(size(&self.0)) {
            return Box::new(std::iter::once(Err(error)));
        }
        let pairs = self.0.key_values().take_while(|_| spend(1));
        Box::new(pairs.map(|pair| match pair {
            Ok((name, value)) => Ok((Self(name), Self(value))),
            Err(error) => Err(Error::new(Self(error.into_val()))),
        }))
    }

    fn values(self) -> Box<dyn Iterator<Item = Outcome<Self>>> {
        if let Err(error) = pay(size(&self.0)) {
            return Box::new(std::iter::once(Err(error)));
        }
        Box::new(self.0.values().take_while(|_| spend(1)).map(metered))
    }

    fn index(self, index: &Self) -> Outcome<Self> {
        let pairs = match (&self.0, &index.0) {
            (Val::Arr(_), Val::Arr(_)) => size(&self.0).saturating_mul(size(&index.0)),
            _ => 1,
        };
        pay(pairs)?;
        metered(self.0.index(&index.0))
    }

    fn range(self, range: Range<&Self>) -> Outcome<Self> {
        pay(size(&self.0))?;
        metered(self.0.range(range.start.map(|start| &start.0)..range.end.map(|end| &end.0)))
    }

    fn map_values<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        _: Opt,
        _: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        Ok(refuse("a path expression changes nothing")?)
    }

    fn map_index<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        _: &Self,
        _: Opt,
        _: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        Ok(refuse("a path expression changes nothing")?)
    }

    fn map_range<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        _: Range<&Self>,
        _: Opt,
        _: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        Ok(refuse("a path expression changes nothing")?)
    }

    fn as_bool(&self) -> bool {
        spend(1) && self.0.as_bool()
    }

    fn into_string(self) -> Self {
        if !spend(weight(&self.0)) {
            return Self(Val::Null);
        }
        Self(self.0.into_string())
    }
}

impl jaq_std::ValT for Metered {
    fn into_seq<S: FromIterator<Self>>(self) -> Result<S, Self> {
        if !spend(size(&self.0)) {
            return Err(self);
        }
        let items: Vec<Val> = self.0.into_seq().map_err(Self)?;
        Ok(items.into_iter().map(Self).collect())
    }

    fn is_int(&self) -> bool {
        self.0.is_int()
    }

    fn as_isize(&self) -> Option<isize> {
        self.0.as_isize()
    }

    fn as_f64(&self) -> Option<f64> {
        self.0.as_f64()
    }

    fn is_utf8_str(&self) -> bool {
        self.0.is_utf8_str()
    }

    fn as_bytes(&self) -> Option<&[u8]> {
        spend(size(&self.0));
        self.0.as_bytes()
    }

    fn as_sub_str(&self, text: &[u8]) -> Self {
        Self(self.0.as_sub_str(text))
    }

    fn from_utf8_bytes(text: impl AsRef<[u8]> + Send + 'static) -> Self {
        spend(text.as_ref().len() / BYTES);
        Self(Val::from_utf8_bytes(text))
    }
}

impl From<bool> for Metered {
    fn from(value: bool) -> Self {
        Self(Val::from(value))
    }
}

impl From<isize> for Metered {
    fn from(value: isize) -> Self {
        Self(Val::from(value))
    }
}

impl From<usize> for Metered {
    fn from(value: usize) -> Self {
        Self(Val::from(value))
    }
}

impl From<f64> for Metered {
    fn from(value: f64) -> Self {
        Self(Val::from(value))
    }
}

impl From<String> for Metered {
    fn from(value: String) -> Self {
        spend(1 + value.len() / BYTES);
        Self(Val::from(value))
    }
}

impl From<Range<Self>> for Metered {
    fn from(range: Range<Self>) -> Self {
        Self(Val::from(range.start.map(|start| start.0)..range.end.map(|end| end.0)))
    }
}

impl FromIterator<Self> for Metered {
    fn from_iter<I: IntoIterator<Item = Self>>(items: I) -> Self {
        Self(items.into_iter().take_while(|_| spend(1)).map(|item| item.0).collect())
    }
}

impl Add for Metered {
    type Output = Outcome<Self>;

    fn add(self, other: Self) -> Self::Output {
        pay(size(&self.0) + size(&other.0))?;
        paid(self.0 + other.0)
    }
}

impl Sub for Metered {
    type Output = Outcome<Self>;

    fn sub(self, other: Self) -> Self::Output {
        pay(weight(&self.0).saturating_mul(weight(&other.0)))?;
        paid(self.0 - other.0)
    }
}

impl Mul for Metered {
    type Output = Outcome<Self>;

    fn mul(self, other: Self) -> Self::Output {
        pay(1)?;
        match is_small(&self.0) && is_small(&other.0) {
            true => metered(self.0 * other.0),
            false => refuse("only small numbers are multiplied in a path expression"),
        }
    }
}

impl Div for Metered {
    type Output = Outcome<Self>;

    fn div(self, other: Self) -> Self::Output {
        pay(size(&self.0).saturating_mul(BYTES))?;
        paid(self.0 / other.0)
    }
}

impl Rem for Metered {
    type Output = Outcome<Self>;

    fn rem(self, other: Self) -> Self::Output {
        pay(1)?;
        metered(self.0 % other.0)
    }
}

impl Neg for Metered {
    type Output = Outcome<Self>;

    fn neg(self) -> Self::Output {
        pay(1)?;
        metered(-self.0)
    }
}

impl PartialEq for Metered {
    fn eq(&self, other: &Self) -> bool {
        spend(comparing(&self.0, &other.0)) && self.0 == other.0
    }
}

impl Eq for Metered {}

impl PartialOrd for Metered {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Metered {
    fn cmp(&self, other: &Self) -> Ordering {
        match spend(comparing(&self.0, &other.0)) {
            true => self.0.cmp(&other.0),
            false => Ordering::Equal,
        }
    }
}

impl fmt::Display for Metered {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if spend(weight(&self.0)) { self.0.fmt(formatter) } else { Ok(()) }
    }
}

//! The meaning of one YAML scalar: its text, its tag and whether it was quoted come in, a plain value goes out.
//!
//! Kubernetes tools read scalars by YAML 1.1 with the habits of Go's number parser (`yes` is a boolean, `0644` is octal,
//! `1_000` is a thousand, `08` is eight). This file knows no documents and no positions.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Number, Value};

/// What every tag of YAML's own begins with.
const TAG_PREFIX: &str = "tag:yaml.org,2002:";

/// A scalar's value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Scalar {
    Null,
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Text(String),
}

/// Resolves `text`; `tag` is the whole tag, absent where the document gives none.
///
/// # Errors
/// In words, when the text cannot be what its tag says.
pub(super) fn resolve(text: &str, tag: Option<&str>, plain: bool) -> Result<Scalar, String> {
    let Some(tag) = tag else {
        return Ok(if plain { guess(text) } else { Scalar::Text(text.to_owned()) });
    };
    match tag.strip_prefix(TAG_PREFIX) {
        Some("binary") => binary(text),
        Some(kind @ ("bool" | "int" | "float" | "null" | "timestamp")) => typed(text, kind),
        // A tag that nobody knows says only that the text is not to be guessed at.
        _ => Ok(Scalar::Text(text.to_owned())),
    }
}

fn typed(text: &str, kind: &str) -> Result<Scalar, String> {
    let value = guess(text);
    match (kind, value) {
        ("float", Scalar::Signed(number)) => Ok(Scalar::Float(number as f64)),
        ("float", Scalar::Unsigned(number)) => Ok(Scalar::Float(number as f64)),
        ("timestamp", Scalar::Text(text)) if looks_like_date(&text) => Ok(Scalar::Text(text)),
        ("bool", value @ Scalar::Bool(_))
        | ("int", value @ (Scalar::Signed(_) | Scalar::Unsigned(_)))
        | ("float", value @ Scalar::Float(_))
        | ("null", value @ Scalar::Null) => Ok(value),
        _ => Err(format!("cannot read \"{text}\" as !!{kind}")),
    }
}

fn binary(text: &str) -> Result<Scalar, String> {
    let compact: String = text.chars().filter(|c| !matches!(c, '\n' | '\r')).collect();
    let bytes = STANDARD.decode(compact).map_err(|_| "a !!binary value is not valid base64".to_owned())?;
    Ok(Scalar::Text(String::from_utf8_lossy(&bytes).into_owned()))
}

fn looks_like_date(text: &str) -> bool {
    text.len() >= 8 && text.as_bytes()[..4].iter().all(u8::is_ascii_digit) && text.as_bytes()[4] == b'-'
}

/// The value of a scalar that was written without quotes and without a tag.
fn guess(text: &str) -> Scalar {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Scalar::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Scalar::Bool(true);
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Scalar::Bool(false);
        }
        ".nan" | ".NaN" | ".NAN" => return Scalar::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Scalar::Float(f64::INFINITY);
        }
        "-.inf" | "-.Inf" | "-.INF" => return Scalar::Float(f64::NEG_INFINITY),
        _ => {}
    }
    let number = match text.as_bytes()[0] {
        b'.' => float(&without_separators(text)),
        b'+' | b'-' | b'0'..=b'9' => {
            let digits = text.replace('_', "");
            integer(&digits).or_else(|| float(&digits))
        }
        _ => None,
    };
    number.unwrap_or_else(|| Scalar::Text(text.to_owned()))
}

fn integer(text: &str) -> Option<Scalar> {
    let (negative, signed, digits) = match text.as_bytes().first()? {
        b'-' => (true, true, &text[1..]),
        b'+' => (false, true, &text[1..]),
        _ => (false, false, text),
    };
    let magnitude = magnitude(digits)?;
    if negative {
        return i64::try_from(-i128::from(magnitude)).ok().map(Scalar::Signed);
    }
    match i64::try_from(magnitude) {
        Ok(number) => Some(Scalar::Signed(number)),
        Err(_) if signed => None,
        Err(_) => Some(Scalar::Unsigned(magnitude)),
    }
}

fn magnitude(digits: &str) -> Option<u64> {
    let (base, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', _, ..] => (16, &digits[2..]),
        [b'0', b'o' | b'O', _, ..] => (8, &digits[2..]),
        [b'0', b'b' | b'B', _, ..] => (2, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    // Rust's parser would take one more sign here.
    if !digits.as_bytes().first()?.is_ascii_alphanumeric() {
        return None;
    }
    u64::from_str_radix(digits, base).ok()
}

/// A fraction that starts with its point may have an underscore between two digits, and nowhere else.
fn without_separators(text: &str) -> String {
    let bytes = text.as_bytes();
    let digit = |index: usize| bytes.get(index).is_some_and(u8::is_ascii_digit);
    let misplaced = (0..bytes.len()).any(|i| bytes[i] == b'_' && !(i > 0 && digit(i - 1) && digit(i + 1)));
    if misplaced { text.to_owned() } else { text.replace('_', "") }
}

/// A decimal fraction or an exponent; words such as `inf` and numbers beyond a double's range are no floats.
fn float(text: &str) -> Option<Scalar> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let mantissa = unsigned.split(['e', 'E']).next()?;
    let written_as_number = mantissa.bytes().any(|b| b.is_ascii_digit())
        && unsigned.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
    if !written_as_number {
        return None;
    }
    text.parse::<f64>().ok().filter(|number| number.is_finite()).map(Scalar::Float)
}

impl Scalar {
    /// As a JSON value.
    ///
    /// # Errors
    /// In words, for the numbers that JSON does not know.
    pub(super) fn into_value(self) -> Result<Value, String> {
        Ok(match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(value),
            Self::Signed(value) => Value::from(value),
            Self::Unsigned(value) => Value::from(value),
            Self::Float(value) => Value::Number(
                number(value)
                    .ok_or_else(|| "infinity and not-a-number have no place in a manifest".to_owned())?,
            ),
            Self::Text(value) => Value::String(value),
        })
    }

    /// As the key of a JSON object.
    ///
    /// # Errors
    /// In words, for what cannot be a key.
    pub(super) fn into_key(self) -> Result<String, String> {
        match self {
            Self::Null => Err("null cannot be a key".to_owned()),
            Self::Bool(value) => Ok(value.to_string()),
            Self::Signed(value) => Ok(value.to_string()),
            Self::Unsigned(value) => Err(format!("the number {value} is too large for a key")),
            Self::Float(value) => Ok(float_key(value)),
            Self::Text(value) => Ok(value),
        }
    }
}

/// A double as a JSON number; whole numbers become integers, as they do for every reader of Kubernetes JSON.
pub fn number(value: f64) -> Option<Number> {
    // 2^63 itself does not fit any more.
    if value.fract() == 0.0 && (i64::MIN as f64..i64::MAX as f64).contains(&value) {
        return Some(Number::from(value as i64));
    }
    Number::from_f64(value)
}

/// Kubernetes tools print a float that serves as a key with the shortest single-precision digits, in `%g` style.
fn float_key(value: f64) -> String {
    let single = value as f32;
    if single.is_nan() {
        return ".nan".to_owned();
    }
    if single.is_infinite() {
        return if single > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    let scientific = format!("{single:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if !(-4..6).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", exponent.abs());
    }
    format!("{single}")
}

//! Lua's patterns as regular expressions that take time in proportion to the text, however they are written.
//!
//! What comes in: a pattern. What goes out: an expression, and which of its groups ask for a position.
//! What regular expressions of that kind cannot say is refused: `%b`, `%f` and a group named again (`%1`).

use regex::bytes::{Regex, RegexBuilder};

/// How large an expression may become, and as much again what it remembers of texts. Neither counts as memory of the
/// script's.
const SIZE: usize = 256 << 10;

/// A pattern, ready to be searched for.
#[derive(Debug)]
pub struct Pattern {
    pub regex: Regex,
    /// It may only match where the search begins.
    pub anchored: bool,
    /// For each group, whether it asks where it is.
    pub positions: Vec<bool>,
}

impl Pattern {
    /// Reads a pattern. Iterating knows no anchor: there, `^` is a letter.
    pub fn parse(pattern: &[u8], may_anchor: bool) -> Result<Self, String> {
        let anchored = may_anchor && pattern.first() == Some(&b'^');
        let rest = if anchored { &pattern[1..] } else { pattern };
        let mut translator =
            Translator { rest, expression: String::new(), positions: Vec::new(), open: Vec::new() };
        while !translator.rest.is_empty() {
            translator.item()?;
        }
        if !translator.open.is_empty() {
            return Err("unfinished capture".to_owned());
        }
        let anchor = if anchored { r"\A" } else { "" };
        let expression = format!("{anchor}{}", translator.expression);
        let built = RegexBuilder::new(&expression)
            .unicode(false)
            .dot_matches_new_line(true)
            .size_limit(SIZE)
            .dfa_size_limit(SIZE)
            .build();
        let regex = built.map_err(|_| "the pattern is too large".to_owned())?;
        Ok(Self { regex, anchored, positions: translator.positions })
    }
}

struct Translator<'a> {
    rest: &'a [u8],
    expression: String,
    positions: Vec<bool>,
    /// Groups that are open. The text between is not looked at: `()` is known at once.
    open: Vec<usize>,
}

impl Translator<'_> {
    fn item(&mut self) -> Result<(), String> {
        match self.rest {
            [b'(', b')', rest @ ..] => {
                self.rest = rest;
                self.positions.push(true);
                self.expression.push_str("()");
            }
            [b'(', rest @ ..] => {
                self.rest = rest;
                self.open.push(self.positions.len());
                self.positions.push(false);
                self.expression.push('(');
            }
            [b')', rest @ ..] => {
                self.rest = rest;
                self.open.pop().ok_or("invalid pattern capture")?;
                self.expression.push(')');
            }
            [b'$'] => {
                self.rest = &[];
                self.expression.push_str(r"\z");
            }
            [b'%', b'b' | b'f' | b'0'..=b'9', ..] => {
                let item = char::from(self.rest[1]);
                return Err(format!("%{item} in patterns is not available to scripts"));
            }
            _ => {
                let class = self.class()?;
                self.expression.push_str(&class.expression());
                self.repetition();
            }
        }
        Ok(())
    }

    /// One letter, class or set.
    fn class(&mut self) -> Result<Class, String> {
        let (class, rest) = match self.rest {
            [b'.', rest @ ..] => (Class([true; 256]), rest),
            [b'%', letter, rest @ ..] => (Class::named(*letter), rest),
            [b'%'] => return Err("malformed pattern (ends with '%')".to_owned()),
            [b'[', rest @ ..] => set(rest)?,
            [letter, rest @ ..] => (Class::of(*letter, *letter), rest),
            [] => return Err("malformed pattern".to_owned()),
        };
        self.rest = rest;
        Ok(class)
    }

    fn repetition(&mut self) {
        let repetition = match self.rest.first() {
            Some(b'*') => "*",
            Some(b'+') => "+",
            Some(b'-') => "*?",
            Some(b'?') => "?",
            _ => return,
        };
        self.expression.push_str(repetition);
        self.rest = &self.rest[1..];
    }
}

/// The letters that something matches.
struct Class([bool; 256]);

impl Class {
    fn of(from: u8, to: u8) -> Self {
        Self::filtered(|letter| (from..=to).contains(&letter))
    }

    fn filtered(is_in: impl Fn(u8) -> bool) -> Self {
        let mut class = [false; 256];
        for (letter, member) in (0..=u8::MAX).zip(&mut class) {
            *member = is_in(letter);
        }
        Self(class)
    }

    /// What stands behind a `%`: a class, the opposite of one, or just that letter.
    fn named(letter: u8) -> Self {
        let is_in: fn(u8) -> bool = match letter.to_ascii_lowercase() {
            b'a' => |letter| letter.is_ascii_alphabetic(),
            b'c' => |letter| letter.is_ascii_control(),
            b'd' => |letter| letter.is_ascii_digit(),
            b'l' => |letter| letter.is_ascii_lowercase(),
            b'p' => |letter| letter.is_ascii_punctuation(),
            b's' => |letter| letter.is_ascii_whitespace() || letter == 0x0b,
            b'u' => |letter| letter.is_ascii_uppercase(),
            b'w' => |letter| letter.is_ascii_alphanumeric(),
            b'x' => |letter| letter.is_ascii_hexdigit(),
            b'z' => |letter| letter == 0,
            _ => return Self::of(letter, letter),
        };
        let opposite = letter.is_ascii_uppercase();
        Self::filtered(|letter| is_in(letter) != opposite)
    }

    fn expression(&self) -> String {
        let mut ranges = String::new();
        let mut letter = 0;
        while letter < 256 {
            let members = self.0[letter..].iter().take_while(|member| **member).count();
            if members > 0 {
                ranges.push_str(&format!(r"\x{letter:02x}-\x{:02x}", letter + members - 1));
            }
            letter += members.max(1);
        }
        // A set of nothing matches nothing.
        if ranges.is_empty() { r"[^\x00-\xff]".to_owned() } else { format!("[{ranges}]") }
    }
}

/// A set, from behind its bracket. A bracket that stands first in it is one of its letters.
fn set(text: &[u8]) -> Result<(Class, &[u8]), String> {
    let (opposite, mut rest) = match text {
        [b'^', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    let mut members = [opposite; 256];
    let mut is_first = true;
    loop {
        let part;
        (part, rest) = match rest {
            [b']', rest @ ..] if !is_first => return Ok((Class(members), rest)),
            [b'%', letter, rest @ ..] => (Class::named(*letter), rest),
            [from, b'-', to, rest @ ..] if *to != b']' => (Class::of(*from, *to), rest),
            [letter, rest @ ..] => (Class::of(*letter, *letter), rest),
            [] => return Err("malformed pattern (missing ']')".to_owned()),
        };
        is_first = false;
        for (member, _) in members.iter_mut().zip(part.0).filter(|(_, is_in)| *is_in) {
            *member = !opposite;
        }
    }
}

//! jq path expressions: which places of an object they name.
//!
//! What comes in: expressions of users, and objects. What goes out: places, or that an expression takes too long.
//! What it does not do: trust an expression. One that could run without touching a value, and so without burning fuel,
//! is not taken; all else is stopped when its fuel is spent. It reads no file, no environment and no clock.

use std::{
    cell::RefCell,
    collections::{HashMap, HashSet},
    fmt,
    sync::Arc,
};

use jaq_core::{
    Compiler, Ctx, Vars,
    data::JustLut,
    load::{
        self, Arena, File, Loader,
        lex::{Lexer, StrPart, Tok, Token},
        parse::{BinaryOp, Def, Pattern, Term},
    },
    native::{self, bome, v},
    path::Part,
};
use jaq_json::Val;
use jaq_std::ValT as _;
use serde::Deserialize;
use serde_json::Value;

use super::{
    metered::{self, Metered, pay},
    place::{Place, Step},
};

type Data = JustLut<Metered>;
type Error = jaq_core::Error<Metered>;

/// Bytes of the longest expression: it is read by recursion.
const LONGEST: usize = 1024;

/// How deep brackets may be nested, for the same reason.
const DEEPEST: usize = 32;

/// Words and signs in one expression, for the same reason.
const MOST_WORDS: usize = 150;

/// Commas in one expression: each may double what is done between two steps that burn fuel.
const MOST_COMMAS: usize = 8;

/// Bytes of the program of a regular expression.
const REGEX_LIMIT: usize = 64 << 10;

/// What an expression may call. Each ends by itself whatever its arguments are.
const FUNCTIONS: &[&str] = &[
    "all",
    "any",
    "arrays",
    "ascii_downcase",
    "ascii_upcase",
    "booleans",
    "ceil",
    "contains",
    "empty",
    "endswith",
    "false",
    "first",
    "floor",
    "getpath",
    "has",
    "in",
    "inside",
    "isempty",
    "iterables",
    "join",
    "keys",
    "keys_unsorted",
    "length",
    "limit",
    "ltrim",
    "ltrimstr",
    "map",
    "not",
    "nth",
    "null",
    "nulls",
    "numbers",
    "objects",
    "path",
    "paths",
    "recurse",
    "reverse",
    "round",
    "rtrim",
    "rtrimstr",
    "scalars",
    "select",
    "skip",
    "sort",
    "split",
    "startswith",
    "strings",
    "test",
    "to_entries",
    "tostring",
    "trim",
    "true",
    "type",
    "values",
];

/// What of the engine's own library those are made of.
const PARTS: &[&str] = &["error", "isarray", "isboolean", "isnumber", "isobject", "isstring"];

/// Definitions that need what is native here.
const OWN: &str = "def in(xs): . as $key | xs | has($key); def inside(xs): . as $part | xs | contains($part); \
                   def test(re): test(re; null);";

/// A path expression, ready to run.
#[derive(Clone)]
pub(super) struct Query(Arc<jaq_core::Filter<Data>>);

/// An expression did not end in time.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Exhausted;

impl Query {
    /// Reads an expression.
    pub fn parse(text: &str) -> Result<Self, String> {
        check_size(text)?;
        let wrapped = format!("path({text}\n)");
        let arena = Arena::default();
        // What closes the bracket around it would not be an expression by itself.
        let term = load::parse(text, |parser| parser.term()).ok_or_else(|| unreadable(text))?;
        check(&term)?;
        let file = File { code: wrapped.as_str(), path: () };
        let modules = Loader::new(library(&term)).load(&arena, file).map_err(|_| unreadable(text))?;
        let functions = jaq_core::funs().chain(jaq_std::base_funs()).chain(natives());
        let filter = Compiler::default().with_funs(functions).compile(modules).map_err(|errors| {
            let undefined = errors.iter().flat_map(|(_, errors)| errors);
            let names: Vec<_> = undefined.map(|(name, what)| format!("{} {name}", what.as_str())).collect();
            format!("there is no {}", names.join(", "))
        })?;
        Ok(Self(Arc::new(filter)))
    }

    /// The places in an object that it names. An expression that fails on an object names none. Runs on the fuel that is
    /// left: see [`metered::run`].
    pub fn find(&self, object: &Val) -> Result<Vec<Place>, Exhausted> {
        let places = self.places(object);
        PATTERNS.with_borrow_mut(HashMap::clear);
        places.filter(|_| metered::spend(1)).ok_or(Exhausted)
    }

    fn places(&self, object: &Val) -> Option<Vec<Place>> {
        let ctx = Ctx::<Data>::new(&self.0.lut, Vars::new([]));
        let mut places = Vec::new();
        for path in self.0.id.run((ctx, Metered(object.clone()))) {
            let Some(place) = path.ok().and_then(|path| place(&path.0)) else { return Some(Vec::new()) };
            if !metered::spend(1) {
                return None;
            }
            places.push(place);
        }
        Some(places)
    }
}

/// An object as the engine reads it.
pub(super) fn input(object: &Value) -> Val {
    let input = Val::deserialize(object).unwrap_or_default();
    metered::spend(metered::weight(&input));
    input
}

impl fmt::Debug for Query {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Query")
    }
}

/// A path as jq gives it: names and numbers.
fn place(path: &Val) -> Option<Place> {
    let Val::Arr(steps) = path else { return None };
    steps.iter().map(step).collect()
}

fn step(step: &Val) -> Option<Step> {
    match step {
        Val::TStr(name) => String::from_utf8(name.to_vec()).ok().map(Step::Field),
        index => index.as_isize().and_then(|index| usize::try_from(index).ok()).map(Step::Item),
    }
}

fn unreadable(text: &str) -> String {
    let reason = match load::Loader::new([]).load(&Arena::default(), File { code: text, path: () }) {
        Err(errors) => errors.into_iter().find_map(|(_, error)| match error {
            load::Error::Parse(errors) => errors.into_iter().next().map(|(expected, found)| match found {
                "" => format!(": expected {}, found its end", expected.as_str()),
                found => format!(": expected {}, found {found:?}", expected.as_str()),
            }),
            load::Error::Lex(errors) => errors
                .into_iter()
                .next()
                .map(|(expected, found)| format!(": expected {}, found {found:?}", expected.as_str())),
            load::Error::Io(_) => None,
        }),
        Ok(_) => None,
    };
    format!("it is not a jq expression{}", reason.unwrap_or_default())
}

fn check_size(text: &str) -> Result<(), String> {
    if text.len() > LONGEST {
        return Err(format!("it is longer than {LONGEST} bytes"));
    }
    let mut depth = 0_usize;
    for byte in text.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEEPEST {
            return Err(format!("its brackets are nested more than {DEEPEST} deep"));
        }
    }
    let tokens = Lexer::new(text).lex().map_err(|_| unreadable(text))?;
    let mut open: Vec<&Token<&str>> = tokens.iter().collect();
    let mut words = 0;
    while let Some(Token(_, what)) = open.pop() {
        words += 1;
        match what {
            Tok::Block(tokens) => open.extend(tokens),
            Tok::Str(parts) => open.extend(parts.iter().filter_map(|part| match part {
                StrPart::Term(token) => Some(token),
                StrPart::Str(_) | StrPart::Char(_) => None,
            })),
            Tok::Word | Tok::Var | Tok::Fmt | Tok::Num | Tok::Sym => {}
        }
    }
    match words > MOST_WORDS {
        true => Err(format!("it has more than {MOST_WORDS} words and signs")),
        false => Ok(()),
    }
}

/// Takes only what is sure to end or to burn fuel.
fn check(term: &Term<&str>) -> Result<(), String> {
    let uncallable = |name| Err(format!("{name} is none of the functions that a path expression may call"));
    let mut commas = 0;
    let mut open = vec![term];
    while let Some(term) = open.pop() {
        match term {
            Term::Def(..) => return Err("a path expression defines no functions".to_owned()),
            Term::Fold(..) => return Err("a path expression has no reduce and no foreach".to_owned()),
            Term::Call(name, arguments) if !may_call(name, arguments.len()) => return uncallable(name),
            Term::Str(Some(format), _) => return uncallable(format),
            Term::Obj(fields) => commas += fields.len(),
            Term::BinOp(_, operator, _) => match operator {
                BinaryOp::Assign | BinaryOp::Update | BinaryOp::UpdateMath(_) | BinaryOp::UpdateAlt => {
                    return Err("a path expression changes nothing".to_owned());
                }
                BinaryOp::Pipe(Some(Pattern::Arr(_) | Pattern::Obj(_))) => {
                    return Err("a path expression takes no value apart by a pattern".to_owned());
                }
                BinaryOp::Comma => commas += 1,
                _ => {}
            },
            _ => {}
        }
        if commas > MOST_COMMAS {
            return Err(format!("it has more than {MOST_COMMAS} commas"));
        }
        open.extend(parts(term));
    }
    Ok(())
}

/// Recursion by a function of the user's need not end.
fn may_call(name: &str, arguments: usize) -> bool {
    FUNCTIONS.contains(&name) && !(name == "recurse" && arguments > 0)
}

/// The terms that a term is made of.
fn parts<'a, 's>(term: &'a Term<&'s str>) -> Vec<&'a Term<&'s str>> {
    match term {
        Term::Id | Term::Recurse | Term::Num(_) | Term::Break(_) | Term::Var(_) => Vec::new(),
        Term::Str(_, parts) => {
            let terms = parts.iter().filter_map(|part| match part {
                StrPart::Term(term) => Some(term),
                StrPart::Str(_) | StrPart::Char(_) => None,
            });
            terms.collect()
        }
        Term::Arr(items) => items.as_deref().into_iter().collect(),
        Term::Obj(fields) => {
            fields.iter().flat_map(|(name, value)| std::iter::once(name).chain(value)).collect()
        }
        Term::Neg(term) | Term::Label(_, term) => vec![term],
        Term::BinOp(left, _, right) => vec![left, right],
        Term::Fold(_, over, _, steps) => std::iter::once(&**over).chain(steps).collect(),
        Term::TryCatch(term, otherwise) => std::iter::once(&**term).chain(otherwise.as_deref()).collect(),
        Term::IfThenElse(cases, otherwise) => {
            let cases = cases.iter().flat_map(|(condition, then)| [condition, then]);
            cases.chain(otherwise.as_deref()).collect()
        }
        Term::Def(definitions, term) => {
            definitions.iter().map(|definition| &definition.body).chain(std::iter::once(&**term)).collect()
        }
        Term::Call(_, arguments) => arguments.iter().collect(),
        Term::Path(term, path) => {
            let steps = path.0.iter().flat_map(|(part, _)| match part {
                Part::Index(index) => vec![index],
                Part::Range(from, to) => from.iter().chain(to).collect(),
            });
            std::iter::once(&**term).chain(steps).collect()
        }
    }
}

/// The functions that a term calls.
fn calls<'s>(term: &Term<&'s str>) -> Vec<&'s str> {
    let mut names = Vec::new();
    let mut open = vec![term];
    while let Some(term) = open.pop() {
        match term {
            Term::Call(name, _) => names.push(*name),
            Term::Recurse => names.push("recurse"),
            _ => {}
        }
        open.extend(parts(term));
    }
    names
}

/// The definitions that a term needs, itself or through others: each expression carries its own.
fn library(term: &Term<&str>) -> Vec<Def<&'static str>> {
    let own = load::parse(OWN, |parser| parser.defs()).into_iter().flatten();
    let all: Vec<_> = jaq_core::defs().chain(jaq_std::defs()).filter(is_known).chain(own).collect();
    let mut needed: HashSet<&str> = calls(term).into_iter().collect();
    loop {
        let through = all.iter().filter(|definition| needed.contains(definition.name));
        let more: Vec<_> = through.flat_map(|definition| calls(&definition.body)).collect();
        let known = needed.len();
        needed.extend(more);
        if needed.len() == known {
            break;
        }
    }
    all.iter().filter(|definition| needed.contains(definition.name)).cloned().collect()
}

fn is_known(definition: &Def<&'static str>) -> bool {
    let needs_more = matches!((definition.name, definition.args.len()), ("test", _) | ("split", 2));
    !needs_more && FUNCTIONS.contains(&definition.name) || PARTS.contains(&definition.name)
}

/// What the engine's libraries have for values of their own alone, or not at all.
fn natives() -> impl Iterator<Item = native::Fun<Data>> {
    let functions: [native::Filter<jaq_core::RunPtr<Data>>; 4] = [
        ("length", v(0), |cv| bome(length(&cv.1.0))),
        ("has", v(1), |cv| native::unary(cv, |value, key| has(&value.0, &key.0))),
        ("contains", v(1), |cv| {
            native::unary(cv, |value, part| {
                pay(metered::weight(&value.0).saturating_mul(metered::weight(&part.0)))?;
                Ok(contains(&value.0, &part.0).into())
            })
        }),
        ("test", v(2), |mut cv| {
            let flags = cv.0.pop_var();
            native::unary(cv, move |value, pattern| test(&value, &pattern, &flags))
        }),
    ];
    functions.into_iter().map(native::run::<Data>)
}

fn length(value: &Val) -> Result<Metered, Error> {
    let length = match value {
        Val::Null => 0,
        Val::TStr(text) | Val::BStr(text) => {
            pay(text.len())?;
            String::from_utf8_lossy(text).chars().count()
        }
        Val::Arr(items) => items.len(),
        Val::Obj(fields) => fields.len(),
        Val::Bool(_) | Val::Num(_) => {
            return Err(Error::typ(Metered(value.clone()), "something with a length"));
        }
    };
    pay(1)?;
    Ok(Metered::from(length))
}

fn has(value: &Val, key: &Val) -> Result<Metered, Error> {
    pay(1)?;
    match (value, key) {
        (Val::Obj(fields), Val::TStr(_)) => Ok(fields.contains_key(key).into()),
        (Val::Arr(items), Val::Num(_)) => {
            let index = key.as_isize().and_then(|index| usize::try_from(index).ok());
            Ok(index.is_some_and(|index| index < items.len()).into())
        }
        _ => Err(Error::typ(Metered(value.clone()), "object or list")),
    }
}

/// Texts contain their parts, lists what is in one of their items, objects what is in the fields of the same names.
fn contains(value: &Val, part: &Val) -> bool {
    match (value, part) {
        (Val::TStr(text), Val::TStr(part)) => {
            let (text, part) = (String::from_utf8_lossy(text), String::from_utf8_lossy(part));
            text.contains(&*part)
        }
        (Val::Arr(items), Val::Arr(parts)) => {
            parts.iter().all(|part| items.iter().any(|item| contains(item, part)))
        }
        (Val::Obj(fields), Val::Obj(parts)) => {
            parts.iter().all(|(name, part)| fields.get(name).is_some_and(|field| contains(field, part)))
        }
        (value, part) => value == part,
    }
}

thread_local! {
    /// The regular expressions of the run under way: the same one is asked of every item of a list.
    static PATTERNS: RefCell<HashMap<String, regex::Regex>> = RefCell::default();
}

fn test(value: &Metered, pattern: &Metered, flags: &Metered) -> Result<Metered, Error> {
    let text =
        |value: &Metered| value.try_as_utf8_bytes().map(|text| String::from_utf8_lossy(text).into_owned());
    let (subject, pattern) = (text(value)?, text(pattern)?);
    let flags = if flags.0 == Val::Null { String::new() } else { text(flags)? };
    if !flags.chars().all(|flag| matches!(flag, 'g' | 'i' | 'x' | 's' | 'n')) {
        return Err(Error::str(format!("there is no flag among g, i, n, s and x like {flags}")));
    }
    pay(1 + subject.len())?;
    let key = format!("{flags}/{pattern}");
    PATTERNS.with_borrow_mut(|known| {
        if let Some(regex) = known.get(&key) {
            return Ok(regex.is_match(&subject).into());
        }
        pay(5_000)?;
        let flag = |letter| flags.contains(letter);
        let regex = regex::RegexBuilder::new(&pattern)
            .case_insensitive(flag('i'))
            .ignore_whitespace(flag('x'))
            .dot_matches_new_line(flag('s'))
            .size_limit(REGEX_LIMIT)
            .dfa_size_limit(REGEX_LIMIT)
            .build()
            .map_err(Error::str)?;
        let matches = regex.is_match(&subject);
        known.insert(key, regex);
        Ok(matches.into())
    })
}

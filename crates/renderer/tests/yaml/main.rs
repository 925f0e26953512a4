//! The YAML reader against the real one: cases are read by `helm` (`fromYaml | toJson`) and by us.

#[path = "../tools/oracle.rs"]
mod oracle;
#[path = "../tools/mod.rs"]
mod tools;

use ithaca_api::yaml::documents;
use serde_json::Value;

/// One YAML map per case, between lines of `=`.
const CASES: &str = include_str!("cases.txt");

/// Texts whose syntax the parser judges otherwise than helm's; none is one that people write on purpose.
const DIFFERENCES: &str = include_str!("differences.txt");

#[test]
fn every_case_reads_as_the_real_helm_reads_it() {
    let comparisons = compare(CASES);
    let differences: String =
        comparisons.into_iter().filter(|case| !case.same).map(|case| case.text).collect();
    assert!(differences.is_empty(), "{differences}");
}

#[test]
fn the_known_differences_of_syntax_are_still_differences() {
    let comparisons = compare(DIFFERENCES);
    let settled: String = comparisons.into_iter().filter(|case| case.same).map(|case| case.text).collect();
    assert!(settled.is_empty(), "move these to cases.txt:\n{settled}");
}

struct Comparison {
    same: bool,
    text: String,
}

fn compare(cases: &str) -> Vec<Comparison> {
    let cases: Vec<&str> = cases.split("=====\n").collect();
    let expected = oracle::read(&cases);
    let compare = |(index, case): (usize, &&str)| {
        let ours = documents(case).next().unwrap_or(Ok(Value::Null));
        let theirs = &expected[index];
        let same = match (&ours, theirs.get("Error")) {
            (Err(_), Some(_)) => true,
            (Ok(ours), None) => {
                oracle::as_doubles(or_empty(ours.clone())) == oracle::as_doubles(theirs.clone())
            }
            _ => false,
        };
        Comparison { same, text: format!("--- case {index}\n{case}ours:   {ours:?}\ntheirs: {theirs}\n") }
    };
    cases.iter().enumerate().map(compare).collect()
}

/// Helm reads nothing as an empty map.
fn or_empty(value: Value) -> Value {
    if value.is_null() { Value::Object(serde_json::Map::new()) } else { value }
}

//! The YAML reader against the real one: cases are read by `helm` (`fromYaml | toJson`) and by us.

#[path = "../tools/mod.rs"]
mod tools;

use std::collections::BTreeMap;
use std::process::Command;

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
    let expected = read_with_helm(&cases);
    let compare = |(index, case): (usize, &&str)| {
        let ours = documents(case).next().unwrap_or(Ok(Value::Null));
        let theirs = &expected[&format!("cases/{index:04}.yaml")];
        let same = match (&ours, theirs.get("Error")) {
            (Err(_), Some(_)) => true,
            (Ok(ours), None) => as_doubles(or_empty(ours.clone())) == as_doubles(theirs.clone()),
            _ => false,
        };
        Comparison { same, text: format!("--- case {index}\n{case}ours:   {ours:?}\ntheirs: {theirs}\n") }
    };
    cases.iter().enumerate().map(compare).collect()
}

fn read_with_helm(cases: &[&str]) -> BTreeMap<String, Value> {
    let chart = tempfile::tempdir().expect("a temporary folder");
    let write = |path: &str, text: &str| {
        let path = chart.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a file has a folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    };
    write("Chart.yaml", "apiVersion: v2\nname: oracle\nversion: 1.0.0\n");
    write(
        "templates/all.yaml",
        "{{- $all := dict }}{{- range $path, $_ := .Files.Glob \"cases/*\" }}\
         {{- $_ := set $all $path ($.Files.Get $path | fromYaml | toJson) }}{{- end }}\n{{ $all | toJson }}\n",
    );
    for (index, case) in cases.iter().enumerate() {
        write(&format!("cases/{index:04}.yaml"), case);
    }
    let output = Command::new(tools::folder().join("helm"))
        .args(["template", "oracle"])
        .arg(chart.path())
        .output()
        .expect("helm runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("helm prints UTF-8");
    let line = text.lines().find(|line| line.starts_with('{')).expect("helm prints one line of JSON");
    let all: BTreeMap<String, String> = serde_json::from_str(line).expect("helm prints JSON");
    all.into_iter()
        .map(|(path, json)| (path, serde_json::from_str(&json).expect("toJson gives JSON")))
        .collect()
}

/// Helm reads nothing as an empty map.
fn or_empty(value: Value) -> Value {
    if value.is_null() { Value::Object(serde_json::Map::new()) } else { value }
}

/// Helm keeps every number as a double; so must both sides be compared.
fn as_doubles(value: Value) -> Value {
    match value {
        Value::Number(number) => number.as_f64().map_or(Value::Null, Value::from),
        Value::Array(items) => items.into_iter().map(as_doubles).collect(),
        Value::Object(map) => map.into_iter().map(|(key, value)| (key, as_doubles(value))).collect(),
        other => other,
    }
}

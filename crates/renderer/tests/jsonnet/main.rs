//! Jsonnet by our evaluator and by the real `jsonnet`, compared as JSON with sorted keys.
//!
//! In: `repository/`, which together uses all of the standard library. Out: verdicts.
//! What is independent: the test runs the real program itself, with a command line of its own; which functions there are
//! is asked of it as well.

#[path = "../tools/mod.rs"]
mod tools;

mod sandboxed;

use std::path::{Path, PathBuf};
use std::process::Command;

use ithaca_api::source::JsonnetVariable;
use ithaca_renderer::jsonnet::{Evaluation, evaluate};
use serde_json::Value;

/// Folders to search, the first one first.
const SEARCH: [&str; 5] = ["vendor/second", "vendor/first", "lib", "apps", ""];

/// Name, value, and whether the value is code.
const VARIABLES: [(&str, &str, bool); 3] = [
    ("text", "some $text", false),
    ("code", "{ a: 1 + 1 }", true),
    ("imported", "import 'lib/inner/constant.libsonnet'", true),
];

/// The same for functions.
const ARGUMENTS: [(&str, &str, bool); 2] = [("name", "web", false), ("replicas", "1 + 1", true)];

/// It is called from no place in a file.
const PLACELESS: &str = "failing/function.jsonnet";

/// What users do not call.
const INTERNAL: [char; 2] = ['$', '_'];

#[test]
fn every_file_gives_what_the_real_jsonnet_gives() {
    let mut different = Vec::new();
    for file in files("apps") {
        let ours = evaluate(&evaluation(&file)).map(|texts| texts.concat());
        match (ours, jsonnet(&file)) {
            (Ok(ours), Ok(theirs)) => {
                let (ours, theirs) = (canonical(&ours), canonical(&theirs));
                if ours != theirs {
                    different.push(format!("{file}:\nours:   {ours}\ntheirs: {theirs}"));
                }
            }
            (ours, theirs) => different.push(format!("{file}:\nours:   {ours:?}\ntheirs: {theirs:?}")),
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n\n"));
}

#[test]
fn what_the_real_jsonnet_refuses_is_refused_with_the_place() {
    for file in files("failing") {
        assert!(jsonnet(&file).is_err(), "{file}");
        let error = evaluate(&evaluation(&file)).expect_err(&file);
        assert!(error.starts_with(&format!("failed to evaluate {file}: ")), "{error}");
        let has_place = error.ends_with(')') && error.contains(&format!(" ({file}:"));
        assert!(has_place || file == PLACELESS, "{error}");
    }
}

#[test]
fn the_files_use_all_of_the_standard_library() {
    let names = run(&["-e", "std.objectFieldsAll(std)"]).expect("the names");
    let names: Vec<String> = serde_json::from_str(&names).expect("a list");
    let texts: String = files("apps").iter().map(|file| text(file)).collect();
    let is_used = |name: &String| {
        texts.split(&format!("std.{name}")).skip(1).any(|after| !after.starts_with(char::is_alphanumeric))
    };
    let unused: Vec<_> = names.iter().filter(|name| !name.starts_with(INTERNAL) && !is_used(name)).collect();
    assert!(names.len() > 100 && unused.is_empty(), "no file uses {unused:?}");
}

#[test]
fn no_import_leads_out_of_the_repository() {
    let outside = tempfile::tempdir().expect("a folder");
    std::fs::write(outside.path().join("secret.txt"), "secret").expect("a file");
    std::fs::create_dir_all(outside.path().join("repository/a")).expect("a folder");
    let absolute = outside.path().join("secret.txt").display().to_string();
    for path in [absolute.as_str(), "../../secret.txt", "../../../../../../../../etc/hostname"] {
        let file = outside.path().join("repository/a/x.jsonnet");
        std::fs::write(file, format!("importstr '{path}'")).expect("a file");
        let evaluation = Evaluation {
            root: outside.path().join("repository"),
            files: vec!["a/x.jsonnet".to_owned()],
            search: vec!["a".to_owned(), String::new()],
            ..Evaluation::default()
        };
        let error = evaluate(&evaluation).expect_err("outside");
        assert!(error.contains("it is not in the repository"), "{error}");
    }
}

#[test]
fn of_two_variables_with_one_name_the_last_one_counts() {
    let variable = |value: &str| JsonnetVariable { name: "text".into(), value: value.into(), code: false };
    let mut evaluation = evaluation("apps/external.jsonnet");
    evaluation.variables.push(variable("first"));
    evaluation.variables.push(variable("last"));
    let texts = evaluate(&evaluation).expect("a value");
    assert!(texts[0].contains("\"last\""), "{texts:?}");
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/jsonnet/repository")
}

fn files(folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(repository().join(folder)).expect("a folder");
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        format!("{folder}/{}", entry.expect("an entry").file_name().to_string_lossy())
    };
    let mut files: Vec<String> = entries.map(name).filter(|name| name.ends_with(".jsonnet")).collect();
    files.sort();
    files
}

fn text(file: &str) -> String {
    std::fs::read_to_string(repository().join(file)).expect("a text")
}

fn evaluation(file: &str) -> Evaluation {
    let variables = |list: &[(&str, &str, bool)]| {
        let variable = |(name, value, code): &(&str, &str, bool)| JsonnetVariable {
            name: (*name).to_owned(),
            value: (*value).to_owned(),
            code: *code,
        };
        list.iter().map(variable).collect()
    };
    Evaluation {
        root: repository(),
        files: vec![file.to_owned()],
        search: SEARCH.map(str::to_owned).into(),
        variables: variables(&VARIABLES),
        arguments: variables(&ARGUMENTS),
    }
}

/// What the real program prints, or why it prints nothing.
fn jsonnet(file: &str) -> Result<String, String> {
    let mut arguments = Vec::new();
    // It searches the last folder first.
    for folder in SEARCH.iter().rev() {
        arguments.extend(["-J".to_owned(), if folder.is_empty() { ".".into() } else { (*folder).into() }]);
    }
    for (list, option) in [(&VARIABLES[..], "--ext"), (&ARGUMENTS[..], "--tla")] {
        for (name, value, code) in list {
            arguments.push(format!("{option}-{}", if *code { "code" } else { "str" }));
            arguments.push(format!("{name}={value}"));
        }
    }
    arguments.push(file.to_owned());
    run(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
}

fn run(arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(tools::folder().join("jsonnet"))
        .args(arguments)
        .current_dir(repository())
        .output()
        .expect("jsonnet runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("jsonnet prints UTF-8");
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

fn canonical(json: &str) -> String {
    let value: Value = serde_json::from_str(json).expect("JSON");
    serde_json::to_string(&as_doubles(value)).expect("JSON")
}

/// Jsonnet knows no other numbers.
fn as_doubles(value: Value) -> Value {
    match value {
        Value::Number(number) => number.as_f64().map_or(Value::Null, Value::from),
        Value::Array(items) => items.into_iter().map(as_doubles).collect(),
        Value::Object(map) => map.into_iter().map(|(key, value)| (key, as_doubles(value))).collect(),
        other => other,
    }
}

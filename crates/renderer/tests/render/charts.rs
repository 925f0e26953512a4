//! Charts written for the purpose, in `tests/charts`, against the real `helm template`.
//!
//! Each folder there is a repository with a chart. `case.json`, where there is one, has the chart's `path`, the source's
//! `helm`, and the `flags` that say the same on helm's own command line, written by hand.
//!
//! What is independent: helm is run here on the folder itself with those flags, without the renderer's sandbox, trees,
//! value files or command line. Its output is cut into documents by lines and read by helm's own `fromYaml | toJson`,
//! not by our YAML reader. What is the same on both sides: the program that executes the templates.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use bytes::Bytes;
use ithaca_renderer::tree::{Entry, Tree};
use serde_json::{Value, json};

use crate::{LIMITS, render_bytes, tools};

/// What templates may use: every function that Helm has, and every field of its objects. Left out are `call`, for no
/// object of Helm's holds a function, and `env` and `expandenv`, which Helm takes away.
const NAMES: &str = include_str!("../charts/names.txt");

/// What the command line of every case begins with: the release and destination that `crate::render` has.
const FLAGS: [&str; 6] = ["--name-template", "shop", "--namespace", "store", "--kube-version", "1.37.2"];

/// A folder of `tests/charts`.
struct Case {
    name: String,
    folder: PathBuf,
    path: String,
    helm: Value,
    flags: Vec<String>,
    api_versions: Vec<String>,
    builds_dependencies: bool,
}

fn cases() -> Vec<Case> {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/charts");
    let mut folders: Vec<PathBuf> = fs::read_dir(all)
        .expect("the charts")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    folders.into_iter().map(case).collect()
}

fn case(folder: PathBuf) -> Case {
    let case: Value = fs::read(folder.join("case.json"))
        .map_or(json!({}), |text| serde_json::from_slice(&text).expect("case.json holds JSON"));
    let texts = |field: &str, default: &[&str]| match case[field].as_array() {
        Some(texts) => texts.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        None => default.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>(),
    };
    Case {
        name: folder.file_name().expect("a name").to_string_lossy().into_owned(),
        path: case["path"].as_str().unwrap_or(".").to_owned(),
        helm: case["helm"].clone(),
        flags: texts("flags", &["--include-crds"]),
        api_versions: texts("api_versions", &["example.com/v1", "example.com/v1/Widget"]),
        builds_dependencies: case["build"] == true,
        folder,
    }
}

#[tokio::test]
async fn every_chart_renders_as_the_real_helm_renders_it() {
    let cases = cases();
    assert!(cases.len() >= 30, "there are {} charts", cases.len());
    let mut differences = Vec::new();
    for case in cases {
        let ours = ours(&case).await;
        let theirs = theirs(&case);
        if ours != theirs {
            differences.push(format!("--- {}\nours:   {ours}\ntheirs: {theirs}\n", case.name));
        }
    }
    assert!(differences.is_empty(), "{}", differences.concat());
}

#[test]
fn the_charts_together_use_every_function_and_field() {
    let mut used = BTreeSet::new();
    for case in cases() {
        for file in files(&case.folder).into_iter().filter(|file| file.contains("templates/")) {
            let text = fs::read_to_string(case.folder.join(file)).expect("a template");
            used.extend(actions(&text));
        }
    }
    let unused: Vec<&str> = NAMES.split_whitespace().filter(|name| !used.contains(*name)).collect();
    assert!(unused.is_empty(), "no chart uses {}", unused.join(", "));
}

/// The names in the actions of a template: functions, keywords, and fields with the dots before them.
fn actions(text: &str) -> Vec<String> {
    let is_name = |c: char| c.is_alphanumeric() || "._".contains(c);
    let actions = text.split("{{").skip(1).filter_map(|rest| rest.split_once("}}"));
    let mut names = Vec::new();
    for (action, _) in actions {
        // What stands in quotes is text, unless tpl reads it, which other charts do without quotes as well.
        let code: String = action.split('"').step_by(2).collect::<Vec<_>>().join(" ");
        for word in code.split(|c| !is_name(c)).filter(|word| !word.is_empty()) {
            names.push(word.to_owned());
            // `.Capabilities.KubeVersion` uses `.Capabilities` as well, `$ca.Cert` uses a field of a value.
            names.extend(word.match_indices('.').skip(1).map(|(end, _)| word[..end].to_owned()));
            names.extend(word.rsplit_once('.').map(|(_, field)| format!(".{field}")));
        }
    }
    names
}

/// The bundle of a case, as its bytes have it.
async fn ours(case: &Case) -> String {
    let mut tree = Tree::default();
    for path in files(&case.folder).into_iter().filter(|path| path != "case.json") {
        let data = Bytes::from(fs::read(case.folder.join(&path)).expect("a file"));
        tree.insert(path, Entry::File { data, executable: false }).expect("a plain path");
    }
    if case.builds_dependencies {
        // The watcher's part: it attaches what Chart.yaml names beside the chart.
        let beside = tree.clone();
        tree.lay("charts/web/charts/base", &beside, "charts/base").expect("nothing is there");
    }
    let mut spec = json!({"path": case.path});
    if !case.helm.is_null() {
        spec["helm"] = case.helm.clone();
    }
    match render_bytes(LIMITS, vec![crate::source_of(spec, tree)]).await {
        Ok(json) => String::from_utf8(json).expect("JSON is UTF-8"),
        Err(error) => error,
    }
}

/// What the real helm renders, as canonical JSON of its objects in their order.
fn theirs(case: &Case) -> String {
    let copy = tempfile::tempdir().expect("a folder");
    for path in files(&case.folder) {
        let to = copy.path().join(&path);
        fs::create_dir_all(to.parent().expect("a parent")).expect("a folder");
        fs::copy(case.folder.join(&path), to).expect("a file");
    }
    if case.builds_dependencies {
        helm(copy.path(), &["dependency", "build", &case.path, "--skip-refresh"]);
    }
    let mut arguments = vec!["template", case.path.as_str()];
    arguments.extend(FLAGS);
    arguments.extend(case.api_versions.iter().flat_map(|version| ["--api-versions", version]));
    arguments.extend(case.flags.iter().map(String::as_str));
    let objects: Vec<Value> = read(&helm(copy.path(), &arguments)).into_iter().flat_map(items).collect();
    canonical(&Value::Array(objects))
}

fn helm(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(tools::folder().join("helm"));
    let output = command.args(arguments).current_dir(folder).env("HOME", folder).output().expect("helm runs");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("helm prints UTF-8")
}

/// The documents of an output, each read by a chart that has them as files.
fn read(output: &str) -> Vec<Value> {
    let chart = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| fs::write(chart.path().join(name), text).expect("a file");
    fs::create_dir(chart.path().join("templates")).expect("a folder");
    write("Chart.yaml", "apiVersion: v2\nname: reader\nversion: 1.0.0\n");
    let template = "{{ $all := list }}{{ range $path, $_ := .Files.Glob \"*.document\" }}\
                    {{ $all = append $all ($.Files.Get $path | fromYaml) }}{{ end }}\n{{ dict \"all\" $all | toJson }}\n";
    write("templates/all.yaml", template);
    for (index, document) in output.split("\n---\n").enumerate() {
        write(&format!("{index:04}.document"), document.trim_start_matches("---\n"));
    }
    let json = helm(chart.path(), &["template", "reader", "."]);
    let line = json.lines().find(|line| line.starts_with('{')).expect("a line of JSON");
    let mut all: Value = serde_json::from_str(line).expect("JSON");
    let documents = all["all"].take();
    let documents = documents.as_array().expect("a list").iter();
    documents.filter(|document| **document != json!({})).cloned().collect()
}

/// A list of objects means its objects.
fn items(object: Value) -> Vec<Value> {
    match object["kind"].as_str() {
        Some("List") => object["items"].as_array().cloned().unwrap_or_default(),
        _ => vec![object],
    }
}

/// JSON with sorted keys, whatever map the value has.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort();
            let field = |key: &String| format!("{}:{}", json!(key), canonical(&map[key]));
            format!("{{{}}}", keys.into_iter().map(field).collect::<Vec<_>>().join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        other => other.to_string(),
    }
}

/// The paths of all files below a folder.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(inside) = folders.pop() {
        for entry in fs::read_dir(&inside).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let below = path.strip_prefix(folder).expect("it is below");
                found.push(below.to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    found
}

//! The reader of version constraints against the real one: `helm` compares the same versions (`semverCompare`).

#[path = "../tools/mod.rs"]
mod tools;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::process::Command;

use ithaca_api::{Version, VersionConstraint};

const OPERATORS: [&str; 12] = ["", "=", "!=", ">", "<", ">=", "=>", "<=", "=<", "~", "~>", "^"];

const OPERANDS: [&str; 21] = [
    "0",
    "0.0",
    "0.0.0",
    "0.0.3",
    "0.2",
    "0.2.3",
    "1",
    "1.x",
    "1.2",
    "1.2.*",
    "v1.2.3",
    "1.2.3-beta.2",
    "1.2-0",
    "1-0",
    "*",
    "x.1.2",
    "*-0",
    "1.x.3",
    "01.2.3",
    "1.2.3+b",
    "2.0.0-0",
];

const WHOLE: [&str; 30] = [
    "1.2 - 1.4",
    "0.0.3 - 1",
    "1.2.3 - 2.0.0-0",
    "1.2 - 1.4 || 2.x",
    "1.2 - 1.4, !=1.3.0",
    ">=1.2, <2",
    ">=1.2 <2",
    ">=1.2,<2",
    ">= 1.2 , < 2",
    ">=1.2.0-0 <1.3 || 2.x",
    "^1.2 || ~0.2 || 3",
    " 1.x ",
    "!=1.2.3-beta.2 1.2.x",
    "!=1.2 >=1.0.0-0",
    "!=1.2-beta.2 >=1.0.0-0",
    "",
    "||",
    "1.x ||",
    "main",
    "1.2.3.4",
    "1,,2",
    ",1",
    "1,",
    ">1<2",
    "> = 1",
    "=1 - 2",
    "1 - 2 - 3",
    "1.2.3-01",
    "1 -2",
    "1- 2",
];

const VERSIONS: [&str; 24] = [
    "0.0.0",
    "0.0.0-a",
    "0.0.2",
    "0.0.3",
    "0.0.4",
    "0.1.0",
    "0.2.2",
    "0.2.3",
    "0.2.9",
    "0.3.0",
    "1.0.0",
    "1.2.0",
    "1.2.2",
    "v1.2.3",
    "1.2.3-beta.1",
    "1.2.3-beta.2",
    "1.2.3-beta.11",
    "1.2.4-rc",
    "1.3.0",
    "1.4.5",
    "2.0.0",
    "2.0.0-rc.1",
    "3.1",
    "1.2.3+other",
];

#[test]
fn every_constraint_takes_what_the_real_helm_takes() {
    let operands = || OPERANDS.iter();
    let simple =
        OPERATORS.iter().flat_map(|operator| operands().map(move |with| format!("{operator}{with}")));
    let constraints: Vec<String> = simple.chain(WHOLE.map(str::to_owned)).collect();
    let (read, refused): (Vec<_>, Vec<_>) =
        constraints.iter().partition(|text| VersionConstraint::parse(text).is_ok());
    let expected = helm(&read).expect("helm reads what we read");
    let mut differences = String::new();
    for text in read {
        let constraint = VersionConstraint::parse(text).expect("it was read before");
        for (index, version) in VERSIONS.iter().enumerate() {
            let ours = constraint.matches(&Version::parse(version).expect("a version"));
            if expected[text][index] != ours {
                writeln!(differences, "{text:?} {version}: ours {ours}").expect("a text grows");
            }
        }
    }
    assert!(differences.is_empty(), "{differences}");
    for text in refused {
        assert!(helm(&[text]).is_err(), "helm reads {text:?}");
    }
}

/// What helm says of each constraint and all versions.
fn helm(constraints: &[&String]) -> Result<BTreeMap<String, Vec<bool>>, String> {
    let chart = tempfile::tempdir().expect("a temporary folder");
    let write = |path: &str, text: &str| {
        std::fs::create_dir_all(chart.path().join("templates")).expect("a folder");
        std::fs::write(chart.path().join(path), text).expect("a file");
    };
    write("Chart.yaml", "apiVersion: v2\nname: oracle\nversion: 1.0.0\n");
    let values = serde_json::json!({"constraints": constraints, "versions": VERSIONS});
    write("values.yaml", &values.to_string());
    write(
        "templates/all.yaml",
        "{{- $all := dict }}{{- range $constraint := .Values.constraints }}{{- $row := list }}\
         {{- range $.Values.versions }}{{- $row = append $row (semverCompare $constraint .) }}{{- end }}\
         {{- $_ := set $all $constraint $row }}{{- end }}\n{{ $all | toJson }}\n",
    );
    let output = Command::new(tools::folder().join("helm"))
        .args(["template", "oracle"])
        .arg(chart.path())
        .output()
        .expect("helm runs");
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let text = String::from_utf8(output.stdout).expect("helm prints UTF-8");
    let line = text.lines().find(|line| line.starts_with('{')).expect("helm prints one line of JSON");
    Ok(serde_json::from_str(line).expect("helm prints JSON"))
}

//! YAML as the real `helm` reads it (`fromYaml | toJson`): texts come in, values go out. Our own reader has no part in it.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

use crate::tools;

/// The first document of each text.
pub fn read(texts: &[&str]) -> Vec<Value> {
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
    for (index, text) in texts.iter().enumerate() {
        write(&format!("cases/{index:04}.yaml"), text);
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
    all.into_values().map(|json| serde_json::from_str(&json).expect("toJson gives JSON")).collect()
}

/// Helm keeps every number as a double; so must both sides be compared.
pub fn as_doubles(value: Value) -> Value {
    match value {
        Value::Number(number) => number.as_f64().map_or(Value::Null, Value::from),
        Value::Array(items) => items.into_iter().map(as_doubles).collect(),
        Value::Object(map) => map.into_iter().map(|(key, value)| (key, as_doubles(value))).collect(),
        other => other,
    }
}

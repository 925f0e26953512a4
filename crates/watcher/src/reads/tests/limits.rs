//! What a repository may make the watcher look at.

use super::*;

fn read(source: &ApplicationSource, files: Files<'_>) -> Result<Derived, ReadError> {
    let files_of_plugins = PluginFiles::new(["**/*.star"]).expect("a pattern");
    let plugins = Plugins { files: &files_of_plugins, paths: None };
    derive(&[SourceFiles { source, files }], &[], &Application::default(), &Tools::default(), plugins)
}

/// Trees may share their folders, so that a few of them are any number of files, at any depth.
#[test]
fn folders_that_share_their_files_without_end_are_refused() {
    let entry = |path: &str| {
        let kind = if path.split('/').count() > 6 { Kind::File } else { Kind::Folder };
        Some(Entry { id: "0".to_owned(), kind })
    };
    let list = |path: &str| {
        let inside = |number: u32| Some((format!("{number}.yaml"), entry(&format!("{path}/{number}"))?));
        (0..100).filter_map(inside).collect()
    };
    let files = Files { entry: &entry, list: &list, text: &|_| None };
    let deep = |path: &str| vec![("a".to_owned(), Entry { id: path.len().to_string(), kind: Kind::Folder })];
    let endless = Files { entry: &entry, list: &deep, text: &|_| None };
    for (files, spec) in [
        (files, json!({"repoURL": "r", "path": "a", "directory": {"recurse": true}})),
        (files, json!({"repoURL": "r", "path": "a", "helm": {}})),
        (files, json!({"repoURL": "r", "path": "a", "kustomize": {}})),
        (files, json!({"repoURL": "r", "path": "a"})),
        (endless, json!({"repoURL": "r", "path": "a", "helm": {}})),
        (endless, json!({"repoURL": "r", "path": "a", "directory": {"recurse": true}})),
    ] {
        let source = serde_json::from_value(spec).expect("a source");
        let derived = read(&source, files);
        let error = derived.expect_err("too many").to_string();
        assert!(error.contains("is one of too many") && error.len() < 1_000, "{error}");
    }
}

#[test]
fn links_beyond_number_are_refused() {
    let entry = |path: &str| {
        let kind = match path {
            "app" => Kind::Folder,
            "app/Chart.yaml" => Kind::File,
            path if path.starts_with("app/") => Kind::Link,
            _ => return None,
        };
        Some(Entry { id: "0".to_owned(), kind })
    };
    let list = |path: &str| {
        let names = (0..10_001).map(|number| number.to_string()).chain(["Chart.yaml".to_owned()]);
        let inside = |name: String| Some((name.clone(), entry(&format!("{path}/{name}"))?));
        if path == "app" { names.filter_map(inside).collect() } else { Vec::new() }
    };
    let text = |path: &str| Some(format!("../x/{}", path.len()).into_bytes());
    let source = serde_json::from_value(json!({"repoURL": "r", "path": "app"})).expect("a source");
    let files = Files { entry: &entry, list: &list, text: &text };
    let derived = read(&source, files);
    assert!(derived.expect_err("too many").to_string().contains("is one of too many"));
}

/// What a kustomization or a chart holds is read on a small stack, and repeats itself as often as a line of it says.
#[test]
fn texts_that_nest_or_repeat_themselves_without_end_are_no_harm() {
    let size = 1 << 20;
    let level = |level: usize| match level {
        0 => "k0: &a0 [x]\n".to_owned(),
        level => format!("k{level}: &a{level} [{}]\n", vec![format!("*a{}", level - 1); 20].join(", ")),
    };
    for text in [
        "[".repeat(size),
        "{a: ".repeat(size / 4),
        "- ".repeat(size / 2),
        "? ".repeat(size / 2),
        format!("resources: {}{}", "[".repeat(100_000), "]".repeat(100_000)),
        (0..20).map(level).collect(),
    ] {
        assert!(kustomization::documents(&text).is_empty());
        assert!(dependencies::read(text.as_bytes(), Some(text.as_bytes())).is_empty());
    }
}

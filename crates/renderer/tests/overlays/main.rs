//! Overlays built by the renderer and by the real `kustomize`, compared object by object.
//!
//! In: `repository/`, which together uses every field that kustomize knows. Out: verdicts.
//! What is independent: kustomize is run by the test itself, in a copy of the repository and by a command line of its own,
//! and what it prints is read by helm's YAML reader, not by ours. Both sides become JSON with sorted keys.

#[path = "../tools/oracle.rs"]
mod oracle;
#[path = "../tools/mod.rs"]
mod tools;

mod edits;
mod fields;
mod repository;

use serde_json::Value;

use crate::repository::{Repository, build, render};

#[tokio::test]
async fn every_overlay_builds_as_the_real_kustomize_builds_it() {
    let repository = Repository::new();
    let overlays = repository.overlays();
    assert!(overlays.len() >= 30, "only {} overlays", overlays.len());
    let mut built = Vec::new();
    for overlay in &overlays {
        let options = repository.options(overlay);
        let printed = build(&repository.folder(), overlay, &options);
        let printed = printed.map_err(|error| format!("{overlay}: {error}")).expect("kustomize builds it");
        built.push((overlay.clone(), render(&repository, overlay, None).await, printed));
    }
    assert_same(built);
}

/// Holds what we rendered against what kustomize printed.
fn assert_same(built: Vec<(String, Result<Vec<Value>, String>, String)>) {
    let mut different = Vec::new();
    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    for (name, rendered, printed) in built {
        match rendered {
            Ok(rendered) => {
                // A separator begins a line only between documents.
                theirs.push(printed.split("\n---\n").map(str::to_owned).collect::<Vec<_>>());
                ours.push((name, rendered));
            }
            Err(error) => different.push(format!("{name}: only we fail: {error}")),
        }
    }
    let texts: Vec<&str> = theirs.iter().flatten().map(String::as_str).collect();
    let mut read = oracle::read(&texts).into_iter();
    for ((name, rendered), theirs) in ours.into_iter().zip(theirs) {
        let theirs: Vec<String> = read.by_ref().take(theirs.len()).map(canonical).collect();
        let ours: Vec<String> = rendered.into_iter().map(canonical).collect();
        if ours != theirs {
            different.push(format!("{name}:\nours:\n{}\ntheirs:\n{}", ours.join("\n"), theirs.join("\n")));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n\n"));
}

/// JSON with sorted keys.
fn canonical(value: Value) -> String {
    serde_json::to_string(&oracle::as_doubles(value)).expect("a value is JSON")
}

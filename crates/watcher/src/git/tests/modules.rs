//! Submodules: what they hold is read as if it lay in the repository itself.

use super::*;

#[tokio::test]
async fn a_submodule_is_a_folder_and_so_are_its_own() {
    let (world, lib, deep) = (World::new(), World::new(), World::new());
    let (lib_url, deep_url) = (lib.url(), deep.url());
    deep.commit("main", &[("deepest.yaml", "old")]);
    let deepest = deep.commit("main", &[("deepest.yaml", "3")]);
    deep.commit("main", &[("deepest.yaml", "newer")]);
    let modules = format!("[submodule \"deep\"]\n\tpath = sub/deep\n\turl = {deep_url}\n");
    let inner = lib.commit(
        "main",
        &[(".gitmodules", &modules), ("b.yaml", "2"), ("sub/deep", &format!("gitlink:{deepest}"))],
    );
    lib.commit("main", &[("b.yaml", "newer")]);
    let modules = format!("[submodule \"lib\"]\n\tpath = vendor/lib\n\turl = {lib_url}\n");
    let files =
        [(".gitmodules", modules.as_str()), ("a.yaml", "1"), ("vendor/lib", &format!("gitlink:{inner}"))];
    let commit = world.commit("main", &files);

    let repository = world.open();
    assert_eq!(observe(&repository, "HEAD").await, Ok(commit.clone()));
    let handle = repository.handle().expect("a handle");
    let snapshot = handle.snapshot(&commit).expect("a snapshot");
    assert_eq!(snapshot.text("vendor/lib/b.yaml"), Some(b"2".to_vec()));
    assert_eq!(snapshot.text("vendor/lib/sub/deep/deepest.yaml"), Some(b"3".to_vec()));
    let folder = snapshot.entry("vendor/lib").expect("an entry");
    assert_eq!(folder.kind, Kind::Folder);
    assert!(snapshot.list_folder(&folder.id).iter().any(|(name, _)| name == "b.yaml"));
    // The branches of a submodule are not those of the repository.
    let again = world.commit("main", &[("a.yaml", "2")]);
    assert_eq!(observe(&repository, "main").await, Ok(again));
}

#[tokio::test]
async fn a_submodule_that_cannot_be_had_concerns_only_who_reads_it() {
    let world = World::new();
    let modules = "[submodule \"lib\"]\n\tpath = lib\n\turl = https://elsewhere.example.org/lib\n";
    let nowhere = "gitlink:0123456789012345678901234567890123456789";
    let commit = world.commit("main", &[(".gitmodules", modules), ("a.yaml", "1"), ("lib", nowhere)]);
    let repository = world.open();
    assert_eq!(observe(&repository, "HEAD").await, Ok(commit.clone()));
    let handle = repository.handle().expect("a handle");
    let snapshot = handle.snapshot(&commit).expect("a snapshot");
    assert_eq!(snapshot.entry("lib").map(|entry| entry.kind), Some(Kind::Module));
    assert_eq!(snapshot.text("a.yaml"), Some(b"1".to_vec()));
    assert!(snapshot.list("lib").is_empty());
}

//! What programs in a sandbox may do, and what is told of those that fail.

use super::*;
use bytes::Bytes;

const LIMITS: Limits = Limits { time: Duration::from_secs(20), output: 1 << 20, memory: 1 << 30 };

async fn shell(limits: Limits, script: &str) -> (Sandbox, Result<String, SandboxError>) {
    let sandbox = Sandbox::create(&std::env::temp_dir(), limits).expect("a folder");
    let arguments = arguments([&"-c", &script]);
    let output = sandbox.run(Path::new("/bin/sh"), &arguments).await;
    (sandbox, output.map(|bytes| String::from_utf8(bytes).expect("UTF-8")))
}

fn is_alive(pid: &str) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    !state.is_empty() && !state.contains(") Z ")
}

async fn ends(pid: &str) {
    let deadline = std::time::Instant::now() + LIMITS.time;
    while is_alive(pid) {
        assert!(std::time::Instant::now() < deadline, "process {pid} lives on");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_program_sees_nothing_of_our_environment() {
    let (sandbox, output) = shell(LIMITS, "export -p; pwd; ulimit -c; ulimit -n").await;
    let output = output.expect("it runs");
    assert!(!output.contains("CARGO"), "{output}");
    assert!(output.contains(&format!("HOME='{}'", sandbox.path("home").display())), "{output}");
}

#[test]
fn a_file_that_no_disk_takes_is_the_sources_fault() {
    let file = || Entry::File { data: Bytes::new(), executable: false };
    let link = |target: &str| Entry::Link(target.to_owned());
    for (path, entry) in [
        (format!("a/{}", "x".repeat(256)), file()),
        (format!("{}x", "a/".repeat(2_500)), file()),
        ("a/link".to_owned(), link("")),
        ("a/link".to_owned(), link("x\0y")),
        ("x".repeat(256), link("y")),
    ] {
        let mut tree = Tree::default();
        tree.insert(path, entry).expect("a plain path");
        let sandbox = Sandbox::create(&std::env::temp_dir(), LIMITS).expect("a folder");
        let error = sandbox.materialise("0", &tree).expect_err("not to be written");
        assert!(!error.is_ours() && error.is_certain(), "{error}");
        let told = error.to_string();
        assert!(told.starts_with("failed to write the file \"") && told.len() < 400, "{told}");
    }
}

#[tokio::test]
async fn an_argument_that_no_program_can_be_given_is_nobody_elses_fault() {
    for (argument, told) in [("x".repeat(1 << 18), "too long"), ("a\0b".to_owned(), "nul byte")] {
        let (_, output) = shell(LIMITS, &argument).await;
        let error = output.expect_err("not to be started");
        assert!(!error.is_ours() && error.is_certain(), "{error}");
        assert!(error.to_string().to_lowercase().contains(told), "{error}");
    }
}

#[tokio::test]
async fn a_program_reaches_nothing_but_its_folder() {
    let us = std::process::id();
    let read =
        ["/etc/passwd".to_owned(), format!("/proc/{us}/environ"), format!("/proc/{us}/root/etc/passwd")];
    for path in read {
        let (_, output) = shell(LIMITS, &format!("read -r line < {path} && echo \"$line\"")).await;
        let error = output.expect_err("out of reach").to_string();
        assert!(error.to_lowercase().contains("permission denied"), "{path}: {error}");
    }
    let run = "echo '#!/bin/sh' > mine; /bin/chmod +x mine; ./mine";
    for command in ["echo x > /tmp/ithaca-outside", &format!("kill -0 {us}"), run] {
        let (_, output) = shell(LIMITS, command).await;
        assert!(output.is_err(), "{command}");
    }
    let (_, output) = shell(LIMITS, "echo x > y && read -r line < y && echo \"$line\"").await;
    assert_eq!(output.expect("its own folder"), "x\n");
}

#[tokio::test]
async fn a_failure_is_told_in_the_programs_last_words_without_our_paths() {
    let (_, output) = shell(
        LIMITS,
        "i=0; while [ $i -lt 30 ]; do echo \"line $i in $PWD/x\" >&2; i=$((i+1)); done; exit 3",
    )
    .await;
    let error = output.expect_err("it fails").to_string();
    assert_eq!(error.lines().count(), 20);
    assert!(error.ends_with("line 29 in x"), "{error}");
}

/// Programs tell paths as they are without links, kustomize among them.
#[tokio::test]
async fn no_path_of_ours_is_told_where_a_link_leads_to_our_folder() {
    let parent = tempfile::tempdir().expect("a folder");
    let (real, link) = (parent.path().join("real"), parent.path().join("link"));
    std::fs::create_dir(&real).expect("a folder");
    std::os::unix::fs::symlink(&real, &link).expect("a link");
    let sandbox = Sandbox::create(&link, LIMITS).expect("a folder");
    let script = arguments([&"-c", &"cd -P . && echo \"no $PWD/x\" >&2; exit 3"]);
    let error = sandbox.run(Path::new("/bin/sh"), &script).await.expect_err("it fails");
    assert_eq!(error.to_string(), "no x");
}

#[tokio::test]
async fn a_program_that_does_not_end_is_killed_with_its_children() {
    // Long enough for a busy machine to start two programs.
    let limits = Limits { time: Duration::from_secs(3), ..LIMITS };
    let (sandbox, output) = shell(limits, "/bin/sleep 1000 & echo $! > child; wait").await;
    assert!(matches!(output, Err(SandboxError::Time { .. })), "{output:?}");
    ends(&std::fs::read_to_string(sandbox.path("child")).expect("the child's id")).await;
}

#[tokio::test]
async fn dropping_the_run_kills_the_program() {
    let sandbox = Sandbox::create(&std::env::temp_dir(), LIMITS).expect("a folder");
    let arguments = arguments([&"-c", &"echo $$ > me; /bin/sleep 1000"]);
    let run = sandbox.run(Path::new("/bin/sh"), &arguments);
    let me = sandbox.path("me");
    let started = async {
        while std::fs::read_to_string(&me).unwrap_or_default().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        output = run => panic!("it ended: {output:?}"),
        () = started => {}
    }
    ends(&std::fs::read_to_string(&me).expect("the id")).await;
}

#[tokio::test]
async fn output_beyond_the_limit_ends_the_program() {
    let limits = Limits { output: 100_000, ..LIMITS };
    let (_, output) = shell(limits, "while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done").await;
    let error = output.expect_err("too much").to_string();
    assert_eq!(
        error,
        "sh gave more than the limit of 100000 bytes; the renderer's --render-output-max-mib allows more"
    );
}

#[tokio::test]
async fn files_beyond_the_limit_cannot_be_written() {
    let limits = Limits { output: 100_000, ..LIMITS };
    // The limit comes a moment after the start.
    let script = "until [ \"$(ulimit -f)\" != unlimited ]; do :; done
        while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxx || exit 1; done > file";
    let (sandbox, output) = shell(limits, script).await;
    assert!(output.is_err());
    assert!(std::fs::metadata(sandbox.path("file")).expect("a file").len() <= 100_000);
}

#[test]
fn a_tree_is_written_as_it_is_and_the_folder_goes_with_the_sandbox() {
    let file = |text: &'static str, executable| Entry::File {
        data: Bytes::from_static(text.as_bytes()),
        executable,
    };
    let mut tree = Tree::default();
    for (path, entry) in [("a/b", file("x", true)), ("c", Entry::Link("a/b".to_owned()))] {
        tree.insert(path.to_owned(), entry).expect("a plain path");
    }
    let sandbox = Sandbox::create(&std::env::temp_dir(), LIMITS).expect("a folder");
    sandbox.materialise("source", &tree).expect("it is written");
    assert_eq!(std::fs::read_to_string(sandbox.path("source/c")).expect("the link"), "x");
    let folder = sandbox.path("");
    drop(sandbox);
    assert!(!folder.exists());
}

#[test]
fn folders_of_processes_that_are_gone_are_removed_at_the_start() {
    let parent = tempfile::tempdir().expect("a folder");
    let others = [format!("render-{}-a", std::process::id()), "render-999999999-b".to_owned()];
    let kept = ["render-1-c".to_owned(), "something else".to_owned()];
    for name in others.iter().chain(&kept) {
        std::fs::create_dir(parent.path().join(name)).expect("a folder");
    }
    prepare(parent.path()).expect("it is prepared");
    assert!(others.iter().all(|name| !parent.path().join(name).exists()));
    assert!(kept.iter().all(|name| parent.path().join(name).exists()));
}

#[test]
fn a_link_out_of_the_tree_is_not_written() {
    let mut tree = Tree::default();
    tree.insert("a/out".to_owned(), Entry::Link("../../home".to_owned())).expect("a plain path");
    let sandbox = Sandbox::create(&std::env::temp_dir(), LIMITS).expect("a folder");
    let error = sandbox.materialise("source", &tree).expect_err("it leads out").to_string();
    assert_eq!(error, "the symbolic link \"a/out\" leads out of the repository");
}

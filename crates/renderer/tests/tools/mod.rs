//! Where the tests find the real programs: the folder that the environment names, and our own binary.

use std::path::PathBuf;

/// The folder of the built helm, kustomize and jsonnet.
pub fn folder() -> PathBuf {
    let folder = std::env::var_os("ITHACA_TOOLS")
        .map(PathBuf::from)
        .expect("ITHACA_TOOLS must name the folder of the built tools; `cargo xtask test` sets it");
    for program in ["helm", "kustomize", "jsonnet", "nats-server"] {
        assert!(folder.join(program).is_file(), "ITHACA_TOOLS ({}) holds no {program}", folder.display());
    }
    folder
}

/// Our own binary, where there is one: only what evaluates Jsonnet runs it.
#[allow(dead_code)]
pub fn ithaca() -> PathBuf {
    std::env::var_os("ITHACA_BINARY").map(PathBuf::from).unwrap_or_default()
}

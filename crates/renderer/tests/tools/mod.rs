//! Where the tests find the real programs: the folder that the environment names.

use std::path::PathBuf;

/// The folder of the built helm and kustomize.
pub fn folder() -> PathBuf {
    let folder = std::env::var_os("ITHACA_TOOLS")
        .map(PathBuf::from)
        .expect("ITHACA_TOOLS must name the folder of the built tools; `cargo xtask test` sets it");
    for program in ["helm", "kustomize", "nats-server"] {
        assert!(folder.join(program).is_file(), "ITHACA_TOOLS ({}) holds no {program}", folder.display());
    }
    folder
}

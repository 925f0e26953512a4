//! The arguments of the console.

use std::net::SocketAddr;

/// Arguments of `ithaca console`.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Args {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub chassis: ithaca_chassis::Args,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub bus: ithaca_bus::Args,
    /// Address that serves the page and the REST interface
    #[arg(long, env = "ITHACA_CONSOLE_LISTEN", default_value = "0.0.0.0:8081", help_heading = "Console")]
    pub console_listen: SocketAddr,
    /// Path below which a reverse proxy shows the page, such as /ithaca
    #[arg(
        long,
        env = "ITHACA_CONSOLE_BASE_PATH",
        default_value = "",
        value_parser = base_path,
        help_heading = "Console"
    )]
    pub base_path: String,
}

/// A path with a slash at its start and none at its end; empty for the root.
fn base_path(text: &str) -> Result<String, String> {
    let inner = text.trim_matches('/');
    if inner.is_empty() {
        return Ok(String::new());
    }
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.~/".contains(c);
    if inner.chars().all(is_plain) && !inner.split('/').any(|part| part.is_empty() || part == "..") {
        return Ok(format!("/{inner}"));
    }
    Err("a path of letters, digits, - _ . ~ and / is needed".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_path_has_one_form() {
        for (text, path) in [("", ""), ("/", ""), ("ithaca", "/ithaca"), ("/a/b/", "/a/b")] {
            assert_eq!(base_path(text), Ok(path.to_owned()));
        }
        assert!(base_path("/a{b}").is_err());
        assert!(base_path("/a/../b").is_err());
    }
}

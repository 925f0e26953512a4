//! `git http-backend` as a CGI program, and the Git commands that a server needs beside it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, ensure};
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http::StatusCode;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// The largest push.
const BODY_LIMIT: usize = 1 << 30;

/// Branches and the commits that they point at.
pub type Branches = BTreeMap<String, String>;

/// Answers one request with `git http-backend`.
pub async fn run(folder: &Path, request: Request<Body>) -> anyhow::Result<Response> {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, BODY_LIMIT).await?;
    let header = |name: &str| {
        let value = parts.headers.get(name).map(|value| value.to_str());
        value.and_then(Result::ok).unwrap_or_default()
    };
    let mut backend = Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", folder)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", parts.uri.path())
        .env("QUERY_STRING", parts.uri.query().unwrap_or_default())
        .env("REQUEST_METHOD", parts.method.as_str())
        .env("CONTENT_TYPE", header("content-type"))
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("GIT_PROTOCOL", header("git-protocol"))
        // A user's name is what allows to push.
        .env("REMOTE_USER", "anonymous")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("failed to start git http-backend")?;
    let mut input = backend.stdin.take().context("git has no input")?;
    // Both ends at once: the program may answer before it has read everything.
    let write = async move {
        // A program that stops reading has its reasons, which it tells in its answer.
        let _ = input.write_all(&body).await;
    };
    let ((), output) = tokio::join!(write, backend.wait_with_output());
    parse(&output?.stdout)
}

/// Makes a bare repository whose default branch is `main`, unless it is there.
pub async fn create(repository: &Path) -> anyhow::Result<()> {
    if !repository.join("HEAD").exists() {
        let folder = repository.display().to_string();
        git(&["init", "--quiet", "--bare", "--initial-branch=main", &folder]).await?;
        // Commits by id, however they are reached: as the large hosts allow.
        let allow = ["config", "uploadpack.allowAnySHA1InWant", "true"];
        git(&[&["-C", &folder], allow.as_slice()].concat()).await?;
    }
    Ok(())
}

/// The branches of a bare repository.
pub async fn branches(repository: &Path) -> anyhow::Result<Branches> {
    let folder = repository.display().to_string();
    let format = "--format=%(refname) %(objectname)";
    let text = git(&["-C", &folder, "for-each-ref", format]).await?;
    let branches = text.lines().filter_map(|line| line.split_once(' '));
    Ok(branches.map(|(name, commit)| (name.to_owned(), commit.to_owned())).collect())
}

async fn git(arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new("git").args(arguments).output().await?;
    ensure!(
        output.status.success(),
        "failed to run git {}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}

/// A CGI program's answer: header lines, an empty line, the body.
fn parse(output: &[u8]) -> anyhow::Result<Response> {
    let end = output
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .context("git http-backend gave no answer")?;
    let mut response = Response::builder().status(StatusCode::OK);
    for line in std::str::from_utf8(&output[..end])?.lines() {
        let Some((name, value)) = line.split_once(": ") else {
            continue;
        };
        response = if name.eq_ignore_ascii_case("status") {
            let code = value.split(' ').next().unwrap_or_default();
            response.status(code.parse::<u16>()?)
        } else {
            response.header(name, value)
        };
    }
    Ok(response.body(Body::from(output[end + 4..].to_vec()))?)
}

//! Sources that want to bring the house down: each is a condition of its own Application that names what is wrong. No
//! process dies of them, an Application beside them goes on being synced, and no secret is seen.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, ensure};
use ithaca_tests::{ChartRepository, Repository, Stack};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::private_repository::{SECRETS, secret};
use crate::scene::{Scene, application, automated, manifest};

const PASSWORD: &str = "s3cret-in-a-url";
/// What the file of two gigabytes is made of: it packs well.
const LARGE: u64 = 2 << 30;
/// For that file, which is unpacked and hashed before anybody can say that it is too large, and for the longest index.
const PATIENCE: Duration = Duration::from_secs(600);

/// The services that sources reach.
const SERVICES: [&str; 3] = ["watcher", "renderer", "applier"];

#[tokio::test]
async fn repositories_that_are_too_much_are_conditions_of_their_own() -> anyhow::Result<()> {
    // A stack of its own: what becomes of its processes is what is looked at.
    let stack = Stack::fresh().await?;
    let scene = Scene::on(&stack, "bad-sources").await?;
    let before = pids(&stack)?;
    good(&scene, "1").await?;
    let many = many_files(&scene).await?;
    let deep = deep_folders(&scene).await?;
    let large = large_file(&scene).await?;
    let odd = odd_names(&scene).await?;
    let own = odd_content(&scene).await?;
    let of = |repository: &Repository, path: &str, more: Value| {
        let mut spec = automated();
        spec["source"] = json!({"repoURL": repository.url, "path": path});
        spec["source"].as_object_mut().into_iter().for_each(|source| {
            source.extend(more.as_object().cloned().unwrap_or_default());
        });
        spec
    };
    let recurse = || json!({"directory": {"recurse": true}});
    let hidden = own.url.replace("http://", &format!("http://me:{PASSWORD}@"));
    stack.git.protect(&own, "ada", "another");
    let secret = json!({"url": own.url, "username": "ada", "password": "another"});
    scene.post(SECRETS, &crate::private_repository::secret("bad-sources", "repository", &secret)).await?;
    let bad: &[(&str, Value, &str)] = &[
        ("many", of(&many, "app", recurse()), "is one of too many"),
        ("many-chart", of(&many, "app", json!({"helm": {}})), "is one of too many"),
        ("deep", of(&deep, "a", recurse()), "is one of too many"),
        ("large", of(&large, "app", json!({})), "2048 MiB"),
        ("large-chart", of(&large, "chart", json!({})), "2048 MiB"),
        ("dots", of(&odd, "app", recurse()), "\"app/../evil.yaml\" is not a plain path"),
        ("dots-file", of(&odd, "file", json!({})), "\"file/../../escape.yaml\" is not a plain path"),
        ("loop", of(&own, "loop", json!({})), "leads to too many others"),
        ("device", of(&own, "device", json!({"helm": {"valueFiles": ["zero.yaml"]}})), "\"/dev/zero\""),
        ("inside", of(&own, "inside", json!({})), "internal"),
        ("endless", of(&own, "endless", json!({})), "helm did not end within 10 seconds"),
        ("flood", of(&own, "flood", json!({})), "failed to render the chart in \"flood\": helm"),
        ("hidden", of(&own, "app", json!({"repoURL": hidden})), "refused the credentials of its URL"),
    ];
    for (name, spec, _) in bad {
        scene.create(&format!("bad-sources-{name}"), "", spec.clone()).await?;
    }
    good(&scene, "2").await?;
    for (name, _, reason) in bad {
        let path = application(&format!("bad-sources-{name}"));
        let app = scene.wait_within(PATIENCE, &path, "tells", tells(reason)).await?;
        ensure!(!app["status"].to_string().contains(PASSWORD), "{}", app["status"]);
    }
    good(&scene, "3").await?;
    ensure!(pids(&stack)? == before, "a process died: {:?} were {before:?}", pids(&stack)?);
    ensure!(logs_with(&stack, PASSWORD)?.is_empty(), "a password is in {:?}", logs_with(&stack, PASSWORD)?);
    peaks(&stack)
}

#[tokio::test]
async fn a_password_in_a_url_is_neither_in_a_status_nor_in_a_log() -> anyhow::Result<()> {
    let stack = Stack::fresh().await?;
    let scene = Scene::on(&stack, "hidden").await?;
    scene.repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    let commit = scene.repository.publish("Add settings").await?;
    stack.git.protect(&scene.repository, "me", PASSWORD);
    let mut spec = automated();
    spec["source"]["repoURL"] =
        json!(scene.repository.url.replace("http://", &format!("http://me:{PASSWORD}@")));
    scene.create("hidden", "app", spec).await?;
    let app = scene.synced("hidden", &commit).await?;
    let status = &app["status"];
    ensure!(!status.to_string().contains(PASSWORD), "{status}");
    ensure!(
        status["history"][0]["source"]["repoURL"] == json!(scene.repository.url),
        "{}",
        status["history"]
    );
    let events = scene.expect("/api/v1/namespaces/argocd/events").await?.to_string();
    ensure!(!events.contains(PASSWORD), "a password is in an Event");
    // Nothing is done again for that: what was attempted is known without the password, too.
    scene.refresh("hidden", "normal").await?;
    let after = scene.synced("hidden", &commit).await?;
    ensure!(after["status"]["history"] == status["history"], "it was synced again");
    ensure!(logs_with(&stack, PASSWORD)?.is_empty(), "a password is in {:?}", logs_with(&stack, PASSWORD)?);
    Ok(())
}

#[tokio::test]
async fn charts_and_registries_that_lie_are_conditions_of_their_own() -> anyhow::Result<()> {
    let stack = Stack::fresh().await?;
    let scene = Scene::on(&stack, "bad-charts").await?;
    let before = pids(&stack)?;
    good(&scene, "1").await?;
    let charts = ChartRepository::start(None)?;
    let zeros = "0".repeat(15 << 20);
    let names: Vec<String> = (0..6).map(|number| format!("{number}.txt")).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), zeros.as_str())).collect();
    charts.pack("bomb", "1.0.0", "", &files)?;
    charts.put("device.tgz", &packed(&[entry("web/Chart.yaml", b'0'), entry("web/zero", b'3')]).await?)?;
    charts.put("out.tgz", &packed(&[entry("web/Chart.yaml", b'0'), entry("web/../../out", b'0')]).await?)?;
    let many: String =
        (0..100_000).map(|number| format!("  - {{version: 0.0.{number}, urls: [x.tgz]}}\n")).collect();
    let index = format!(
        "apiVersion: v1\nentries:\n  many:\n{many}  web:\n  - {{version: 1.0.0, urls: [bomb-1.0.0.tgz]}}\n  \
         - {{version: 2.0.0, urls: [device.tgz]}}\n  - {{version: 3.0.0, urls: [out.tgz]}}\n"
    );
    charts.put("index.yaml", index.as_bytes())?;
    let liar = liar().await?;
    let data = json!({"url": liar, "type": "helm", "enableOCI": "true", "insecureOCIForceHttp": "true"});
    scene.post(SECRETS, &secret("bad-charts", "repo-creds", &data)).await?;
    let chart = |chart: &str, version: &str| json!({"repoURL": format!("http://{}", charts.host), "chart": chart, "targetRevision": version});
    let artifact =
        |tag: &str| json!({"repoURL": format!("oci://{liar}/team/lies"), "path": ".", "targetRevision": tag});
    let bad: &[(&str, Value, &str)] = &[
        ("bomb", chart("web", "1.0.0"), "times its size"),
        ("device", chart("web", "2.0.0"), "web/zero"),
        ("out", chart("web", "3.0.0"), "leads out of the archive"),
        ("many", chart("many", "^1"), "none of its 100000 versions matches"),
        ("manifest", artifact("manifest"), "gave a manifest of the digest"),
        ("size", artifact("size"), "its manifest says"),
        ("digest", artifact("digest"), "its layer has the digest"),
    ];
    for (name, source, _) in bad {
        let mut spec = automated();
        spec["source"] = source.clone();
        let path = source["path"].as_str().unwrap_or_default();
        scene.create(&format!("bad-charts-{name}"), path, spec).await?;
    }
    good(&scene, "2").await?;
    for (name, _, reason) in bad {
        let path = application(&format!("bad-charts-{name}"));
        scene.wait_within(PATIENCE, &path, "tells", tells(reason)).await?;
    }
    good(&scene, "3").await?;
    ensure!(pids(&stack)? == before, "a process died: {:?} were {before:?}", pids(&stack)?);
    peaks(&stack)
}

/// An Application that is right is synced with another commit.
async fn good(scene: &Scene<'_>, value: &str) -> anyhow::Result<()> {
    scene.repository.write("good/settings.yaml", &manifest("settings", value))?;
    let commit = scene.repository.publish("Change settings").await?;
    let name = format!("{}-good", scene.repository.bare.file_stem().unwrap_or_default().display());
    if scene.get(&application(&name)).await?.is_none() {
        scene.create(&name, "good", automated()).await?;
    }
    scene.synced(&name, &commit).await.map(drop)
}

fn tells<'a>(reason: &'a str) -> impl Fn(&Value) -> bool + 'a {
    move |app: &Value| {
        let condition = &app["status"]["conditions"][0];
        let message = condition["message"].as_str().unwrap_or_default();
        condition["type"] == "ComparisonError" && message.contains(reason) && message.len() < 4_000
    }
}

/// A million files, by folders that are shared: a few objects.
async fn many_files(scene: &Scene<'_>) -> anyhow::Result<Repository> {
    let repository = scene.stack.repository("bad-sources-many").await?;
    let mut id = object(&repository, "blob", manifest("settings", "1").as_bytes()).await?;
    let mut kind = ("100644", "f", ".yaml");
    for _ in 0..3 {
        let entries: Vec<_> = (0..100).map(|number| format!("{}{number:02}{}", kind.1, kind.2)).collect();
        let entries: Vec<_> = entries.iter().map(|name| (kind.0, name.as_str(), id.as_str())).collect();
        id = tree(&repository, &entries).await?;
        kind = ("40000", "d", "");
    }
    let chart = object(&repository, "blob", b"apiVersion: v2\nname: a\nversion: 1.0.0\n").await?;
    let app = tree(&repository, &[("100644", "Chart.yaml", &chart), ("40000", "all", &id)]).await?;
    commit(&repository, &[("40000", "app", &app)]).await
}

/// Folders in folders, deeper than any path may be.
async fn deep_folders(scene: &Scene<'_>) -> anyhow::Result<Repository> {
    let repository = scene.stack.repository("bad-sources-deep").await?;
    let (path, text) = (format!("{}x.yaml", "a/".repeat(5_000)), manifest("settings", "1"));
    let stream = format!(
        "commit refs/heads/main\ncommitter Ada <ada@example.com> 0 +0000\ndata 1\nx\n\
         M 100644 inline {path}\ndata {}\n{text}\n",
        text.len()
    );
    git(&repository, &["fast-import", "--quiet", "--force"], stream.as_bytes()).await?;
    Ok(repository)
}

/// A manifest and a Chart.yaml of two gigabytes.
async fn large_file(scene: &Scene<'_>) -> anyhow::Result<Repository> {
    let repository = scene.stack.repository("bad-sources-large").await?;
    let large = repository.folder.join("large");
    // A hole, which is read as zeros.
    std::fs::File::create(&large)?.set_len(LARGE)?;
    let id =
        git(&repository, &["hash-object", "-w", "--no-filters", &large.display().to_string()], b"").await?;
    std::fs::remove_file(large)?;
    let app = tree(&repository, &[("100644", "large.yaml", &id)]).await?;
    let chart = tree(&repository, &[("100644", "Chart.yaml", &id)]).await?;
    commit(&repository, &[("40000", "app", &app), ("40000", "chart", &chart)]).await
}

/// Names that lead up and out, as no tool of Git's would write them.
async fn odd_names(scene: &Scene<'_>) -> anyhow::Result<Repository> {
    let repository = scene.stack.repository("bad-sources-odd").await?;
    let blob = object(&repository, "blob", manifest("evil", "1").as_bytes()).await?;
    let up = tree(&repository, &[("100644", "evil.yaml", &blob)]).await?;
    let app = tree(&repository, &[("40000", "..", &up)]).await?;
    let file = tree(&repository, &[("100644", "../../escape.yaml", &blob)]).await?;
    commit(&repository, &[("40000", "app", &app), ("40000", "file", &file)]).await
}

/// Links, overlays and charts that mean no good, which Git itself writes.
async fn odd_content(scene: &Scene<'_>) -> anyhow::Result<Repository> {
    let repository = scene.stack.repository("bad-sources-own").await?;
    let link = |target: &str, path: &str| std::os::unix::fs::symlink(target, repository.folder.join(path));
    let chart = "apiVersion: v2\nname: demo\nversion: 1.0.0\n";
    repository.write("app/settings.yaml", &manifest("settings", "1"))?;
    repository.write("loop/settings.yaml", &manifest("settings", "1"))?;
    link("two.yaml", "loop/one.yaml")?;
    link("one.yaml", "loop/two.yaml")?;
    repository.write("device/Chart.yaml", chart)?;
    link("/dev/zero", "device/zero.yaml")?;
    repository.write(
        "inside/kustomization.yaml",
        "resources: ['http://169.254.169.254/latest/meta-data/all.yaml']\n",
    )?;
    repository.write("endless/Chart.yaml", chart)?;
    let turns = "{{- range $i := until 100000 }}{{- range $j := until 100000 }}";
    let endless =
        format!("{turns}{{{{- $x := printf \"%d\" $j | sha256sum }}}}{{{{- end }}}}{{{{- end }}}}\n");
    repository.write("endless/templates/a.yaml", &endless)?;
    repository.write("flood/Chart.yaml", chart)?;
    let gigabyte = "{{- range $i := until 1024 }}\n# {{ repeat 1048576 \"x\" }}\n{{- end }}\n";
    repository.write("flood/templates/a.yaml", gigabyte)?;
    repository.publish("Add what means no good").await?;
    Ok(repository)
}

/// Writes an object of Git's as it is given, and returns its id.
async fn object(repository: &Repository, kind: &str, content: &[u8]) -> anyhow::Result<String> {
    git(repository, &["hash-object", "-w", "--literally", "-t", kind, "--stdin"], content).await
}

/// Writes a tree of entries in the order that Git wants them in.
async fn tree(repository: &Repository, entries: &[(&str, &str, &str)]) -> anyhow::Result<String> {
    let mut content = Vec::new();
    for (mode, name, id) in entries {
        content.extend_from_slice(format!("{mode} {name}\0").as_bytes());
        content.extend(hex::decode(id)?);
    }
    object(repository, "tree", &content).await
}

/// Makes a commit of such a tree the repository's branch.
async fn commit(repository: &Repository, entries: &[(&str, &str, &str)]) -> anyhow::Result<Repository> {
    let root = tree(repository, entries).await?;
    let text = format!(
        "tree {root}\nauthor Ada <ada@example.com> 0 +0000\ncommitter Ada <ada@example.com> 0 +0000\n\nAll\n"
    );
    let id = object(repository, "commit", text.as_bytes()).await?;
    git(repository, &["update-ref", "refs/heads/main", &id], b"").await?;
    let Repository { url, bare, folder } = repository;
    Ok(Repository { url: url.clone(), bare: bare.clone(), folder: folder.clone() })
}

async fn git(repository: &Repository, arguments: &[&str], input: &[u8]) -> anyhow::Result<String> {
    let mut command = Command::new("git");
    command.arg("-C").arg(&repository.bare).args(arguments);
    Ok(String::from_utf8(piped(command, input).await?)?.trim().to_owned())
}

async fn piped(mut command: Command, input: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut stdin = child.stdin.take().context("it takes no input")?;
    let write = async move { stdin.write_all(input).await };
    let (written, output) = tokio::join!(write, child.wait_with_output());
    let output = output?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    written?;
    Ok(output.stdout)
}

/// An entry of an archive of a kind, with no content.
fn entry(name: &str, kind: u8) -> Vec<u8> {
    let mut header = vec![0; 512];
    let mut put = |at: usize, text: &[u8]| header[at..at + text.len()].copy_from_slice(text);
    put(0, name.as_bytes());
    for (at, text) in [(100, "0000644\0"), (108, "0000000\0"), (116, "0000000\0"), (124, "00000000000\0")] {
        put(at, text.as_bytes());
    }
    put(136, b"00000000000\0");
    put(148, b"        ");
    put(156, &[kind]);
    put(257, b"ustar\x0000");
    put(329, b"0000001\0");
    put(337, b"0000005\0");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

async fn packed(entries: &[Vec<u8>]) -> anyhow::Result<Vec<u8>> {
    let mut archive = entries.concat();
    archive.resize(archive.len() + 1024, 0);
    let mut gzip = Command::new("gzip");
    gzip.arg("--stdout");
    piped(gzip, &archive).await
}

/// A registry that lies: of a manifest's digest, of a layer's size, of a layer's digest. Gives `host:port`.
async fn liar() -> anyhow::Result<String> {
    use axum::http::{StatusCode, Uri};
    use axum::response::IntoResponse;
    let layer = packed(&[entry("settings.yaml", b'0')]).await?;
    let digest =
        |content: &[u8]| format!("sha256:{}", hex::encode(<sha2::Sha256 as sha2::Digest>::digest(content)));
    let of = |digest: &str, size: usize| {
        let layer = json!({"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": digest, "size": size});
        let config =
            json!({"mediaType": "application/vnd.oci.empty.v1+json", "digest": "sha256:0", "size": 2});
        json!({"schemaVersion": 2, "config": config, "layers": [layer]}).to_string()
    };
    let zeros = format!("sha256:{}", "0".repeat(64));
    let (size, wrong) = (of(&digest(&layer), 7), of(&zeros, layer.len()));
    let blob = digest(&layer);
    let answer = move |uri: Uri| {
        let path = uri.path().trim_start_matches("/v2/team/lies/").to_owned();
        let told =
            |manifest: &str, digest: String| ([("docker-content-digest", digest)], manifest.to_owned());
        let answer = match path.as_str() {
            "manifests/manifest" => told("{}", zeros.clone()).into_response(),
            "manifests/size" => told(&size, digest(size.as_bytes())).into_response(),
            "manifests/digest" => told(&wrong, digest(wrong.as_bytes())).into_response(),
            path if path == format!("manifests/{zeros}") => "{}".into_response(),
            path if path == format!("manifests/{}", digest(size.as_bytes())) => size.clone().into_response(),
            path if path == format!("manifests/{}", digest(wrong.as_bytes())) => {
                wrong.clone().into_response()
            }
            path if path == format!("blobs/{blob}") || path == format!("blobs/{zeros}") => {
                layer.clone().into_response()
            }
            _ => StatusCode::NOT_FOUND.into_response(),
        };
        std::future::ready(answer)
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let host = listener.local_addr()?.to_string();
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(answer)).await });
    Ok(host)
}

/// The ids of the services, which are others once one has died.
fn pids(stack: &Stack) -> anyhow::Result<Vec<u32>> {
    let pid = |name: &&str| stack.process(name)?.pid().with_context(|| format!("{name} has died"));
    SERVICES.iter().map(pid).collect()
}

/// Tells how much memory the services had at most.
fn peaks(stack: &Stack) -> anyhow::Result<()> {
    for (name, pid) in SERVICES.iter().zip(pids(stack)?) {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
        println!("{name}: {peak}");
    }
    Ok(())
}

/// The logs that hold a word.
fn logs_with(stack: &Stack, word: &str) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    for process in stack.processes() {
        let log = &process.program().log;
        if String::from_utf8_lossy(&std::fs::read(log)?).contains(word) {
            found.push(log.display().to_string());
        }
    }
    Ok(found)
}

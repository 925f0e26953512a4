//! A Prometheus that scrapes what it is told every second, and answers queries.
//!
//! In: targets with the labels that their discovery would give them, and rule files. Out: what queries give.
//! Its configuration is written anew at each start; its data lies in the stack's folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::{Process, Program, Ready, Tools, port};

/// Points that one range query may give at most for each series; the server itself refuses more than 11,000.
const POINTS: u64 = 600;

/// Something to scrape.
#[derive(Clone, Debug)]
pub struct Target {
    /// The name of its job.
    pub job: String,
    /// Its host and port.
    pub address: String,
    /// Labels that all of its series get.
    pub labels: BTreeMap<String, String>,
}

/// The running server.
pub struct Prometheus {
    /// To stop it.
    pub process: Process,
    /// `http://127.0.0.1:<port>`.
    pub url: String,
    started: u64,
}

impl Prometheus {
    /// Starts the server of this name, with its files below `dir`.
    ///
    /// # Errors
    /// When it fails, with the end of its log.
    pub async fn start(
        dir: &Path,
        tools: &Tools,
        name: &str,
        targets: &[Target],
        rules: &[PathBuf],
    ) -> anyhow::Result<Self> {
        let folder = dir.join(name);
        std::fs::create_dir_all(&folder)?;
        let file = folder.join("prometheus.yml");
        // JSON is YAML.
        std::fs::write(&file, configuration(targets, rules).to_string())?;
        let port = port::free()?;
        let url = format!("http://127.0.0.1:{port}");
        let arguments = vec![
            format!("--config.file={}", file.display()),
            format!("--storage.tsdb.path={}", folder.join("data").display()),
            format!("--web.listen-address=127.0.0.1:{port}"),
            "--log.level=warn".to_owned(),
        ];
        let process = Process::start(Program {
            name: name.to_owned(),
            path: tools.path("prometheus"),
            arguments,
            environment: Vec::new(),
            log: dir.join(format!("logs/{name}.log")),
            ready: Ready::Answers(format!("{url}/-/ready")),
            metrics: None,
        })
        .await?;
        Ok(Self { process, url, started: now()? })
    }

    /// What an expression has given since the server was started: series with at least one number that is not NaN.
    ///
    /// # Errors
    /// When the expression is wrong, with what the server says.
    pub async fn history(&self, expression: &str) -> anyhow::Result<Vec<Value>> {
        let end = now()?;
        let step = (end - self.started).div_ceil(POINTS).max(1);
        let (start, end, step) = (self.started.to_string(), end.to_string(), step.to_string());
        let query = [("query", expression), ("start", &start), ("end", &end), ("step", &step)];
        let data = self.ask("query_range", &query).await?;
        let series = data["result"].as_array().cloned().context("a range query gives series")?;
        let is_number =
            |series: &Value| series["values"].as_array().is_some_and(|all| all.iter().any(|v| v[1] != "NaN"));
        Ok(series.into_iter().filter(is_number).collect())
    }

    /// What an expression gives at this moment.
    ///
    /// # Errors
    /// As [`Prometheus::history`].
    pub async fn now(&self, expression: &str) -> anyhow::Result<Vec<Value>> {
        let data = self.ask("query", &[("query", expression)]).await?;
        data["result"].as_array().cloned().context("an instant query gives series")
    }

    /// Asks the HTTP interface, `/api/v1/<what>`, and returns its `data`.
    ///
    /// # Errors
    /// When it answers with an error.
    pub async fn ask(&self, what: &str, parameters: &[(&str, &str)]) -> anyhow::Result<Value> {
        let url = reqwest::Url::parse_with_params(&format!("{}/api/v1/{what}", self.url), parameters)?;
        let answer: Value = reqwest::get(url).await?.json().await?;
        ensure!(answer["status"] == "success", "{}: {parameters:?}", answer["error"]);
        Ok(answer["data"].clone())
    }
}

fn configuration(targets: &[Target], rules: &[PathBuf]) -> Value {
    let mut jobs: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for target in targets {
        let one = json!({"targets": [target.address], "labels": target.labels});
        jobs.entry(&target.job).or_default().push(one);
    }
    let job = |(name, targets)| json!({"job_name": name, "static_configs": targets});
    json!({
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": rules,
        "scrape_configs": jobs.into_iter().map(job).collect::<Vec<_>>(),
    })
}

/// Seconds since 1970.
fn now() -> anyhow::Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())
}

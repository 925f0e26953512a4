//! A headless Chromium for one test.
//!
//! In: a URL and a body that looks at the page. Out: the body's result. The browser is closed whatever it is, and a
//! page that logged an error or broke its own Content-Security-Policy fails.

use std::path::PathBuf;

use anyhow::{Context, ensure};
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use ithaca_tests::{Process, Program, Ready, free_port, target_folder, wait_until};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::stage::DEADLINE;

/// A page in the browser.
pub struct Page {
    client: Client,
}

/// Opens a URL in a window of this size, in light or dark, and lets `body` look at it.
pub async fn open<F>(url: &str, size: (u32, u32), is_dark: bool, body: F) -> anyhow::Result<()>
where
    F: AsyncFnOnce(&Page) -> anyhow::Result<()>,
{
    let client = client(size, is_dark).await?;
    let page = Page { client };
    let seen = async {
        page.client.goto(url).await?;
        // Survives as long as the page does.
        page.run("window.isTheSamePage = true; window.errors = []; \
                  addEventListener('error', (event) => errors.push(event.message)); \
                  addEventListener('securitypolicyviolation', (event) => errors.push(event.violatedDirective))")
            .await?;
        body(&page).await?;
        let errors = page.run("return errors").await?;
        ensure!(errors == json!([]), "the page had errors: {errors}");
        ensure!(page.run("return window.isTheSamePage").await? == json!(true), "the page was loaded again");
        Ok(())
    }
    .await;
    page.client.close().await?;
    seen
}

impl Page {
    /// Runs a script in the page.
    pub async fn run(&self, script: &str) -> anyhow::Result<Value> {
        self.client.execute(script, Vec::new()).await.with_context(|| format!("failed to run {script}"))
    }

    /// The text that a person sees in the first element of this CSS selector.
    pub async fn text(&self, css: &str) -> anyhow::Result<String> {
        Ok(self.client.find(Locator::Css(css)).await.with_context(|| format!("no {css}"))?.text().await?)
    }

    /// How many elements of this CSS selector a person sees.
    pub async fn visible(&self, css: &str) -> anyhow::Result<u64> {
        let script = format!(
            "return [...document.querySelectorAll({})].filter((e) => e.offsetParent).length",
            json!(css)
        );
        self.run(&script).await?.as_u64().context("no number")
    }

    /// Waits until the element's text has all of these words.
    pub async fn shows(&self, css: &str, words: &[&str]) -> anyhow::Result<()> {
        wait_until(&format!("{css} shows {words:?}"), DEADLINE, async || {
            let text = self.text(css).await?;
            ensure!(words.iter().all(|word| text.contains(word)), "it shows {text:?}");
            Ok(())
        })
        .await
    }

    /// Waits until that many elements are visible.
    pub async fn counts(&self, css: &str, expected: u64) -> anyhow::Result<()> {
        wait_until(&format!("{expected} of {css} are visible"), DEADLINE, async || {
            let visible = self.visible(css).await?;
            ensure!(visible == expected, "{visible} are");
            Ok(())
        })
        .await
    }

    /// Clicks; the page may put another element in the place of the one that was found, which is not clicked then.
    pub async fn click(&self, css: &str) -> anyhow::Result<()> {
        wait_until(&format!("{css} is clicked"), DEADLINE, async || {
            Ok(self.client.find(Locator::Css(css)).await?.click().await?)
        })
        .await
    }

    pub async fn type_into(&self, css: &str, text: &str) -> anyhow::Result<()> {
        Ok(self.client.find(Locator::Css(css)).await?.send_keys(text).await?)
    }

    /// Leaves a picture for people.
    pub async fn picture(&self, name: &str) -> anyhow::Result<()> {
        let folder = target_folder().join("screenshots");
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(format!("{name}.png")), self.client.screenshot().await?)?;
        Ok(())
    }

    /// Fails where a person would have to scroll sideways.
    pub async fn fits(&self) -> anyhow::Result<()> {
        let widths = self.run("return [document.documentElement.scrollWidth, innerWidth]").await?;
        ensure!(widths[0].as_u64() <= widths[1].as_u64(), "the page is wider than its window: {widths}");
        Ok(())
    }
}

async fn client((width, height): (u32, u32), is_dark: bool) -> anyhow::Result<Client> {
    let mut arguments = vec![
        "--headless=new".to_owned(),
        // As root there is no sandbox, and only our own page is shown.
        "--no-sandbox".to_owned(),
        "--disable-gpu".to_owned(),
        "--disable-dev-shm-usage".to_owned(),
        format!("--window-size={width},{height}"),
    ];
    if is_dark {
        arguments.push("--blink-settings=preferredColorScheme=0".to_owned());
    }
    let mut options = json!({ "args": arguments });
    if width < 500 {
        // A window cannot be as narrow as a phone.
        options["mobileEmulation"] =
            json!({"deviceMetrics": {"width": width, "height": height, "pixelRatio": 2}});
    }
    let capabilities = [("goog:chromeOptions".to_owned(), options)].into_iter().collect();
    ClientBuilder::new(HttpConnector::new())
        .capabilities(capabilities)
        .connect(driver().await?)
        .await
        .context("failed to start Chromium")
}

/// The URL of chromedriver, which all tests of this binary share.
async fn driver() -> anyhow::Result<&'static str> {
    static DRIVER: OnceCell<Result<(Process, String), String>> = OnceCell::const_new();
    let start = async || start_driver().await.map_err(|error| format!("{error:#}"));
    let driver = DRIVER.get_or_init(start).await.as_ref();
    driver.map(|(_, url)| url.as_str()).map_err(|error| anyhow::anyhow!("{error}"))
}

async fn start_driver() -> anyhow::Result<(Process, String)> {
    let port = free_port()?;
    let log =
        target_folder().join("stacks").join(format!("{}-browser/logs/chromedriver.log", std::process::id()));
    let process = Process::start(Program {
        name: "chromedriver".to_owned(),
        path: PathBuf::from("chromedriver"),
        arguments: vec![format!("--port={port}")],
        environment: Vec::new(),
        log,
        ready: Ready::Answers(format!("http://127.0.0.1:{port}/status")),
        metrics: None,
    })
    .await?;
    Ok((process, format!("http://127.0.0.1:{port}")))
}

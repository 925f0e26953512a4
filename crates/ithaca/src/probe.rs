//! `ithaca probe`: whether addresses answer, for health checks in images that hold no shell and no curl.
//!
//! In: URLs. Out: an exit code, and one line on standard error for each that does not answer as it should.
//! It sends no credentials, follows no redirect and uses no proxy: what is asked is the address itself.

use std::{process::ExitCode, time::Duration};

use futures::future::join_all;
use ithaca_api::duration::parse_duration;
use reqwest::{Client, Response, Url, redirect};

/// What an answer says about itself fits into this; a page would hide the line above it.
const LONGEST_ANSWER: usize = 200;

const EXAMPLES: &str = "\
Examples:
  ithaca probe                                     is the service of this container ready?
  ithaca probe http://ithaca-watcher:8080/readyz http://ithaca-console:8081/
                                                   are all of these ready, asked at the same time?
  ithaca probe --timeout 1s http://127.0.0.1:8080/healthz
                                                   is it alive at all?

As a health check in a compose file, where the image holds no shell:
  healthcheck:
    test: [\"CMD\", \"/usr/bin/ithaca\", \"probe\"]

The exit code is 0 when every address answers with a status of 2xx, and 1 otherwise; then each address that failed
has a line on standard error with what it answered, or why there was no answer.";

/// Arguments of `ithaca probe`.
#[derive(clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    /// Addresses to GET, all at the same time; each must answer 2xx
    #[arg(value_name = "URL", default_value = "http://127.0.0.1:8080/readyz", value_parser = address)]
    urls: Vec<Url>,
    /// How long to wait for each answer at most: 500ms, 5s
    #[arg(long, default_value = "5s", value_parser = parse_duration)]
    timeout: Duration,
}

/// Asks all addresses and says on standard error which failed.
pub fn run(args: Args) -> ExitCode {
    // An error says that another one is installed already, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&[format!("failed to start: {error}")]),
    };
    match runtime.block_on(probe(args)) {
        Ok(failures) if failures.is_empty() => ExitCode::SUCCESS,
        Ok(failures) => failed(&failures),
        Err(error) => failed(&[format!("failed to start: {:#}", anyhow::Error::from(error))]),
    }
}

/// One line for each address that failed, in the order of the arguments.
async fn probe(Args { urls, timeout }: Args) -> reqwest::Result<Vec<String>> {
    let client = Client::builder().timeout(timeout).redirect(redirect::Policy::none()).no_proxy().build()?;
    let asked = urls.into_iter().map(|url| ask(&client, url, timeout));
    Ok(join_all(asked).await.into_iter().flatten().collect())
}

/// What is wrong with an address, if anything is.
async fn ask(client: &Client, url: Url, timeout: Duration) -> Option<String> {
    let name = url.to_string();
    match client.get(url).send().await {
        Ok(answer) if answer.status().is_success() => None,
        Ok(answer) => Some(format!("{name} answered {}", describe(answer).await)),
        Err(error) if error.is_timeout() => Some(format!("{name} did not answer within {timeout:?}")),
        Err(error) => {
            let error = anyhow::Error::from(error.without_url());
            Some(format!("{name} cannot be reached: {}", error.root_cause()))
        }
    }
}

/// The status, and the first line of the text where there is one.
async fn describe(mut answer: Response) -> String {
    let status = answer.status();
    let mut text = Vec::new();
    // An answer that breaks off has told its status, which is enough.
    while text.len() < LONGEST_ANSWER
        && let Ok(Some(chunk)) = answer.chunk().await
    {
        text.extend_from_slice(&chunk);
    }
    text.truncate(LONGEST_ANSWER);
    let text = String::from_utf8_lossy(&text);
    match text.lines().next().map(str::trim) {
        Some(line) if !line.is_empty() => format!("{status}: {line}"),
        _ => status.to_string(),
    }
}

fn failed(lines: &[String]) -> ExitCode {
    for line in lines {
        eprintln!("ithaca: {line}");
    }
    ExitCode::FAILURE
}

/// `localhost:8080` alone would be a URL as well, of the scheme `localhost`.
fn address(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("it must begin with http:// or https://".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it must hold no credentials: a failure prints it".to_owned());
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    /// Serves one request with these bytes and keeps the connection open; gives its address.
    fn server(answer: &'static str) -> std::io::Result<String> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("http://{}/readyz", listener.local_addr()?);
        std::thread::spawn(move || -> std::io::Result<()> {
            let (mut connection, _) = listener.accept()?;
            let mut request = [0; 1024];
            let _ = connection.read(&mut request)?;
            connection.write_all(answer.as_bytes())?;
            // Until the client has gone.
            connection.read(&mut request).map(drop)
        });
        Ok(url)
    }

    async fn failures(arguments: &[&str]) -> anyhow::Result<Vec<String>> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let arguments = ["probe"].iter().chain(arguments);
        Ok(probe(Cli::try_parse_from(arguments)?.args).await?)
    }

    #[tokio::test]
    async fn an_answer_of_2xx_is_no_failure() -> anyhow::Result<()> {
        let ready = server("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok\n")?;
        let empty = server("HTTP/1.1 204 No Content\r\n\r\n")?;
        assert_eq!(failures(&[&ready, &empty]).await?, [""; 0]);
        Ok(())
    }

    #[tokio::test]
    async fn each_other_answer_is_told_with_its_first_line() -> anyhow::Result<()> {
        let ready = server("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?;
        let waiting =
            server("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 19\r\n\r\nwaiting for bus\nmore")?;
        // Where it leads may be well; the address is not.
        let moved = server("HTTP/1.1 302 Found\r\nlocation: /login\r\ncontent-length: 0\r\n\r\n")?;
        let expected = [
            format!("{waiting} answered 503 Service Unavailable: waiting for bus"),
            format!("{moved} answered 302 Found"),
        ];
        assert_eq!(failures(&[&waiting, &ready, &moved]).await?, expected);
        Ok(())
    }

    #[tokio::test]
    async fn no_answer_is_told_with_its_reason() -> anyhow::Result<()> {
        let silent = server("")?;
        assert_eq!(
            failures(&["--timeout=200ms", &silent]).await?,
            [format!("{silent} did not answer within 200ms")]
        );
        let closed = "http://127.0.0.1:1/readyz";
        let refused = format!("{closed} cannot be reached: Connection refused (os error 111)");
        assert_eq!(failures(&["--timeout=1m", closed]).await?, [refused]);
        Ok(())
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in ["localhost:8080", "127.0.0.1", "file:///etc/passwd", "http://ada:secret@host/"] {
            assert!(Cli::try_parse_from(["probe", text]).is_err(), "{text}");
        }
    }

    #[test]
    fn without_an_address_the_own_readiness_is_asked() -> anyhow::Result<()> {
        let args = Cli::try_parse_from(["probe"])?.args;
        assert_eq!(args.urls, [Url::parse("http://127.0.0.1:8080/readyz")?]);
        assert_eq!(args.timeout, Duration::from_secs(5));
        Ok(())
    }
}

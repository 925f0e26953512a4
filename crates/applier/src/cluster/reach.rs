//! Whether a cluster answers. Everything that asks it something goes through here: a request that gets no answer makes
//! the cluster doubtful, and once the connection is over no request of it waits any longer.

use std::{
    error::Error as StdError,
    io::{self, ErrorKind},
    time::Duration,
};

use tokio::time::{error::Elapsed, sleep, timeout};

use super::Cluster;
use crate::error::Error;

/// How long an answer may take: as long as an API server works on a request.
const ANSWER: Duration = Duration::from_secs(65);
/// How long without an answer the cluster is not doubted.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long it may take to say that it lives.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);
/// Between two questions whether it lives, as long as nobody doubts it.
const CALM: Duration = Duration::from_secs(10);
/// For how long it may refuse before it is called down: an API server that starts anew is back soon.
const REFUSALS: u32 = 6;
const BETWEEN_REFUSALS: Duration = Duration::from_millis(500);
/// Whatever it did not answer to: a connection, the greeting on it, or a question.
const SILENT: &str = "it does not answer";

impl Cluster {
    /// Waits for an answer while there is hope for one.
    pub(super) async fn answered<T>(
        &self,
        what: &impl ToString,
        request: impl Future<Output = kube::Result<T>>,
    ) -> Result<kube::Result<T>, Error> {
        let doubtful = async {
            sleep(PATIENCE).await;
            self.doubt.notify_one();
            std::future::pending().await
        };
        let outcome = tokio::select! {
            outcome = timeout(ANSWER, request) => outcome,
            () = self.over.cancelled() => return Err(Error::Lost { what: what.to_string() }),
            never = doubtful => never,
        };
        let speaks = |error: &kube::Error| matches!(error, kube::Error::Api(status) if status.code != 401);
        if !matches!(&outcome, Ok(Ok(_))) && !matches!(&outcome, Ok(Err(error)) if speaks(error)) {
            self.doubt.notify_one();
        }
        outcome.map_err(|_| Error::Unanswered { what: what.to_string() })
    }

    /// Watches over the cluster until it is down. Returns why it is.
    pub async fn wait_until_down(&self) -> String {
        loop {
            tokio::select! {
                () = sleep(CALM) => {}
                () = self.doubt.notified() => {}
            }
            if let Some(reason) = self.is_down().await {
                return reason;
            }
        }
    }

    async fn is_down(&self) -> Option<String> {
        let mut refusal = None;
        for _ in 0..REFUSALS {
            match timeout(SIGN_OF_LIFE, self.ask_readiness()).await {
                Err(_) => return Some(SILENT.to_owned()),
                Ok(Ok(())) => return None,
                Ok(Err(kube::Error::Api(status))) if (402..500).contains(&status.code) => return None,
                Ok(Err(error)) => refusal = Some(why(&error)),
            }
            sleep(BETWEEN_REFUSALS).await;
        }
        refusal
    }

    /// Asks a cluster that nothing is known of yet for its kinds.
    pub async fn meet(&self) -> Result<(), String> {
        match timeout(SIGN_OF_LIFE * 2, self.discover()).await {
            Err(_) => Err(SILENT.to_owned()),
            Ok(Ok(_)) => Ok(()),
            Ok(Err(Error::Unreachable { source, .. })) => Err(why(&source)),
            Ok(Err(error)) => Err(error.to_string()),
        }
    }

    /// Whether it is down, or no longer known.
    pub fn is_over(&self) -> bool {
        self.over.is_cancelled()
    }

    /// Nothing waits for this connection any longer.
    pub fn end(&self) {
        self.over.cancel();
    }
}

/// Why there was no answer, in words that stay the same from one try to the next.
pub fn why(error: &kube::Error) -> String {
    if let kube::Error::Api(status) = error {
        return match status.code {
            401 => "it refuses the credentials (401)".to_owned(),
            403 => format!("its account may not ask which kinds there are: {}", status.message),
            // While it starts it lists all that it waits for, and each time it is less.
            code if status.message.contains('\n') => {
                format!("it is not ready ({code}); its /readyz tells why")
            }
            code => format!("it is not well: {} ({code})", status.message),
        };
    }
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    if causes.clone().any(is_silence) {
        return SILENT.to_owned();
    }
    causes.last().map_or_else(|| error.to_string(), ToString::to_string)
}

fn is_silence(cause: &(dyn StdError + 'static)) -> bool {
    let timed_out = |error: &io::Error| error.kind() == ErrorKind::TimedOut;
    cause.is::<Elapsed>() || cause.downcast_ref().is_some_and(timed_out)
}

#[cfg(test)]
mod tests {
    use ithaca_api::cluster::ClusterAccess;
    use ithaca_chassis::CountRequests;
    use rstest::rstest;

    use super::*;
    use crate::cluster::connect;

    /// A connection is taken by the kernel, and nobody says a word on it.
    #[rstest]
    #[case::greeting("https")]
    #[case::question("http")]
    #[tokio::test(start_paused = true)]
    async fn silence_is_called_the_same_wherever_it_is_met(#[case] scheme: &str) -> anyhow::Result<()> {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
        let server = format!("{scheme}://{}", listener.local_addr()?);
        let way = connect(&server, &ClusterAccess::default(), &CountRequests::new("test")).await;
        let way = way.map_err(anyhow::Error::msg)?;
        let met = Cluster::new(way.client, true).meet().await;
        assert_eq!(met, Err(SILENT.to_owned()));
        Ok(())
    }

    #[test]
    fn the_last_cause_is_the_reason() {
        let refused = io::Error::from(ErrorKind::ConnectionRefused);
        let error = kube::Error::Service(Box::new(refused));
        assert_eq!(why(&error), "connection refused");
        let status = kube::core::Status { code: 401, ..Default::default() };
        assert_eq!(why(&kube::Error::Api(Box::new(status))), "it refuses the credentials (401)");
    }

    #[test]
    fn an_api_server_that_starts_is_called_the_same_however_far_it_is() {
        let says = |message: &str| {
            let status = kube::core::Status { code: 500, message: message.to_owned(), ..Default::default() };
            why(&kube::Error::Api(Box::new(status)))
        };
        let (before, after) =
            ("[-]etcd failed\n[-]informer-sync failed\n", "[+]etcd ok\n[-]informer-sync failed\n");
        assert_eq!(says(before), says(after));
        assert_eq!(says("the store is away"), "it is not well: the store is away (500)");
    }
}

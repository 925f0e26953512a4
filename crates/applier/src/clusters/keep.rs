//! The connection to one cluster: made, watched over, and made again once the cluster is back.
//!
//! What comes in: how to reach it. What goes out: a connection, or why there is none, to all that go there. While it is
//! down nobody else asks it anything. What comes back is another connection: of what happened meanwhile nothing is known.

use std::{sync::Arc, time::Duration};

use backon::{BackoffBuilder, ExponentialBuilder};
use ithaca_api::{
    ClusterSpec,
    cluster::{ClusterAccess, Exec},
};
use jiff::Timestamp;

use crate::{
    cluster::{Cluster, Token, connect},
    follow, orphans,
    service::{Shared, Site},
};

/// How long before its end a credential is made anew.
const MARGIN: Duration = Duration::from_secs(60);
/// How soon a credentials program that failed is asked again.
const RENEWAL: Duration = Duration::from_secs(20);

/// Starts to keep a cluster. One whose Applications are not worked on, and one that cannot be reached for what is
/// written in its Secret, is not kept.
pub fn start(shared: &Arc<Shared>, secret: &str, spec: Arc<ClusterSpec>) {
    let access = spec.access.clone().ok().filter(|_| !spec.skips_reconcile);
    let Some(access) = access else { return };
    let keeper = Keeper { shared: shared.clone(), secret: secret.into(), spec, access };
    let task = tokio::spawn(keeper.run());
    shared.state().clusters.set_keeper(secret, task.abort_handle());
}

struct Keeper {
    shared: Arc<Shared>,
    secret: Box<str>,
    spec: Arc<ClusterSpec>,
    access: ClusterAccess,
}

/// What it takes to stay connected.
struct Renewal {
    token: Token,
    expires: Timestamp,
}

impl Keeper {
    async fn run(self) {
        if self.spec.is_in_cluster() {
            return self.keep_home().await;
        }
        loop {
            let (site, renewal) = self.connect_patiently().await;
            self.welcome(&site);
            if let Some(reason) = self.attend(&site, renewal).await {
                self.lose(&reason);
            }
        }
    }

    /// Without this one nothing works, and nobody could be told that it is down.
    async fn keep_home(&self) {
        let site = self.site(Cluster::new(self.shared.home.client(), self.sees_everything()));
        follow::discover_patiently(&site.cluster).await;
        self.welcome(&site);
        self.follow_definitions(&site).await;
    }

    async fn connect_patiently(&self) -> (Site, Option<Renewal>) {
        let patience = ExponentialBuilder::new()
            .with_min_delay(Duration::from_millis(500))
            .with_max_delay(Duration::from_secs(15))
            .with_jitter()
            .without_max_times();
        let mut patience = patience.build();
        loop {
            match self.connect().await {
                Ok(connected) => return connected,
                Err(reason) => self.lose(&reason),
            }
            tokio::time::sleep(patience.next().unwrap_or_default()).await;
        }
    }

    async fn connect(&self) -> Result<(Site, Option<Renewal>), String> {
        let way = connect(&self.spec.server, &self.access, &self.shared.requests).await?;
        let site = self.site(Cluster::new(way.client, self.sees_everything()));
        site.cluster.meet().await?;
        Ok((site, way.expires.map(|expires| Renewal { token: way.token, expires })))
    }

    fn site(&self, cluster: Cluster) -> Site {
        Site::new(&self.shared, Arc::new(cluster))
    }

    /// Whoever is kept to some namespaces makes none, and may not see definitions.
    fn sees_everything(&self) -> bool {
        self.spec.namespaces.is_empty() || self.spec.cluster_resources
    }

    /// All that go there are looked at.
    fn welcome(&self, site: &Site) {
        if !self.spec.is_in_cluster() {
            let (cluster, server) = (&self.spec.name, &self.spec.server);
            tracing::info!(cluster, server, "connected to a cluster");
        }
        let mut state = self.shared.state();
        state.clusters.connect(&self.secret, self.spec.clone(), site.cluster.clone());
        state.forget_unfollowed();
        drop(state);
        orphans::settle(&self.shared);
        site.dirty_all();
    }

    /// All that go there are told.
    fn lose(&self, reason: &str) {
        let mut state = self.shared.state();
        if !state.clusters.lose(&self.secret, &self.spec, reason) {
            return;
        }
        let (cluster, server) = (&self.spec.name, &self.spec.server);
        tracing::warn!(cluster, server, reason, "failed to reach a cluster, trying again");
        let concerned = state.apps.iter().filter(|(_, app)| {
            let known = state.clusters.find(&app.application.spec.destination);
            known.is_ok_and(|known| Arc::ptr_eq(&known.spec, &self.spec))
        });
        concerned.for_each(|(uid, _)| self.shared.queue.dirty(uid));
    }

    /// Stays with the cluster until it is down, and returns why it is; or until its credentials have to be made anew:
    /// until there is another connection this one serves, and nobody need hear of it.
    async fn attend(&self, site: &Site, renewal: Option<Renewal>) -> Option<String> {
        tokio::select! {
            reason = site.cluster.wait_until_down() => Some(reason),
            () = self.follow_definitions(site) => Some("its definitions are not told of any more".to_owned()),
            () = self.renew(renewal) => None,
        }
    }

    async fn follow_definitions(&self, site: &Site) {
        match self.sees_everything() {
            true => follow::definitions(site.clone()).await,
            false => std::future::pending().await,
        }
    }

    /// Has the credentials program asked in time. Ends where only another connection would do.
    async fn renew(&self, renewal: Option<Renewal>) {
        let exec = self.access.exec_provider_config.as_ref();
        let (Some(Renewal { token, mut expires }), Some(exec)) = (renewal, exec) else {
            return std::future::pending().await;
        };
        loop {
            tokio::time::sleep(until(expires)).await;
            match self.ask_again(&token, exec).await {
                Some(next) => expires = next,
                None => return,
            }
        }
    }

    async fn ask_again(&self, token: &Token, exec: &Exec) -> Option<Timestamp> {
        match token.renew(exec).await {
            Ok(expires) => expires,
            Err(reason) => {
                tracing::warn!(cluster = self.spec.name, reason, "failed to renew credentials, trying again");
                Timestamp::now().checked_add(MARGIN + RENEWAL).ok()
            }
        }
    }
}

/// How long until a credential that expires then is made anew; never at once, for a program may give old ones.
fn until(expires: Timestamp) -> Duration {
    let left = Duration::try_from(expires.duration_since(Timestamp::now())).unwrap_or_default();
    left.saturating_sub(MARGIN).max(Duration::from_secs(10))
}

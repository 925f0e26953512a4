//! What the API server has counted, from its own metrics.
//!
//! In: its Prometheus page. Out: write requests of Ithaca, and of everybody.
//! Ithaca's user has a flow schema for its writes (`tests/harness/control_plane/access.yaml`), which counts them apart
//! from those of controllers, scheduler and kwok without an audit log's cost.

use anyhow::Context;
use kube::Client;
use serde::Serialize;

/// Write requests since the API server's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Writes {
    /// By Ithaca, dry runs included.
    pub ithaca: u64,
    /// By anybody, the API server's own leases left out.
    pub all: u64,
}

impl Writes {
    /// What came after `earlier`.
    pub fn since(self, earlier: Self) -> Self {
        Self { ithaca: self.ithaca - earlier.ithaca, all: self.all - earlier.all }
    }
}

/// The counters now.
pub async fn writes(client: &Client) -> anyhow::Result<Writes> {
    let request = http::Request::get("/metrics").body(Vec::new())?;
    let page = client.request_text(request).await.context("failed to read the API server's metrics")?;
    Ok(count(&page))
}

fn count(page: &str) -> Writes {
    let mut writes = Writes { ithaca: 0, all: 0 };
    for line in page.lines() {
        let Some((series, value)) = line.rsplit_once(' ') else {
            continue;
        };
        // Counters are whole, but may be written as 1e+06.
        let value = value.parse::<f64>().unwrap_or(0.0) as u64;
        if series.starts_with("apiserver_flowcontrol_dispatched_requests_total{")
            && series.contains("flow_schema=\"ithaca-writes\"")
        {
            writes.ithaca += value;
        }
        if series.starts_with("apiserver_request_total{") && is_write(series) {
            writes.all += value;
        }
    }
    writes
}

fn is_write(series: &str) -> bool {
    let verbs = ["POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION"];
    let is_write = verbs.iter().any(|verb| series.contains(&format!("verb=\"{verb}\"")));
    is_write && !series.contains("resource=\"leases\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_are_counted_by_who_made_them() {
        let page = "\
# HELP apiserver_request_total x
apiserver_request_total{code=\"200\",resource=\"pods\",verb=\"LIST\"} 5
apiserver_request_total{code=\"200\",resource=\"pods\",verb=\"APPLY\"} 1e+01
apiserver_request_total{code=\"200\",resource=\"leases\",verb=\"PUT\"} 7
apiserver_flowcontrol_dispatched_requests_total{flow_schema=\"ithaca-writes\",priority_level=\"exempt\"} 4
apiserver_flowcontrol_dispatched_requests_total{flow_schema=\"ithaca-reads\",priority_level=\"exempt\"} 9
";
        assert_eq!(count(page), Writes { ithaca: 4, all: 10 });
    }
}

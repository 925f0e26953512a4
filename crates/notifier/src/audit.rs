//! The audit trail: one line of JSON on standard output for each event.
//!
//! In: records. Out: who committed what, what was applied with which result, and how long each step took.
//! Logs go to standard error, so the trail can be kept apart from them; in a shared stream its lines are
//! those that have the key `audit`.

use std::{io::Write, time::Duration};

use opentelemetry::trace::TraceContextExt;
use serde::Serialize;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::{
    record::Record,
    sink::{Outcome, Sink},
};

/// The sink that writes the trail.
#[derive(Debug)]
pub(crate) struct Audit;

#[derive(Serialize)]
struct Line<'a> {
    /// The version of the line's form.
    audit: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<String>,
    #[serde(flatten)]
    record: &'a Record,
}

impl Sink for Audit {
    fn name(&self) -> &str {
        "audit"
    }

    fn max_age(&self) -> Option<Duration> {
        None
    }

    async fn deliver(&mut self, record: &Record) -> Outcome {
        let context = tracing::Span::current().context();
        let span = context.span().span_context().clone();
        let trace = span.is_valid().then(|| span.trace_id().to_string());
        match write(std::io::stdout().lock(), record, trace) {
            Ok(()) => Outcome::Sent,
            Err(error) => Outcome::Retry(format!("failed to write the audit trail: {error}")),
        }
    }
}

fn write(mut to: impl Write, record: &Record, trace: Option<String>) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(&Line { audit: 1, trace, record })?;
    line.push(b'\n');
    to.write_all(&line)?;
    to.flush()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::webhook::sample;

    #[test]
    fn a_line_says_who_committed_what_and_what_was_done() {
        let record = sample::records().into_iter().find(|record| record.event == "SyncFinished");
        let mut bytes = Vec::new();
        write(&mut bytes, &record.expect("a sample"), Some("00ff".to_owned())).expect("a line");
        assert_eq!(bytes.iter().filter(|byte| **byte == b'\n').count(), 1);
        let line: Value = serde_json::from_slice(&bytes).expect("JSON");
        assert_eq!(line["audit"], 1);
        assert_eq!(line["trace"], "00ff");
        assert_eq!(line["commit"]["author"], "Ada <ada@example.org>");
        assert_eq!(line["results"][0]["kind"], "Deployment");
        assert_eq!(line["results"][0]["status"], "SyncFailed");
        let seconds =
            json!({"waitToRender": 0.1, "render": 0.2, "waitToApply": 0.1, "apply": 0.6, "total": 1.0});
        assert_eq!(line["seconds"], seconds);
    }
}

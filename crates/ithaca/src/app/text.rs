//! Words and tables that the subcommands share: ages, revisions, sources, colours. Pure.

use comfy_table::{Cell, Color, Table};
use ithaca_api::{
    Application, ApplicationSource, HealthStatusCode, OperationPhase, SyncStatusCode, without_credentials,
};

/// A table without lines, as kubectl's; nothing is wrapped.
pub fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    if !header.is_empty() {
        table.set_header(header.iter().map(Cell::new));
    }
    table
}

/// The table's lines without blanks at their ends, each ended by a line break.
pub fn lines(mut table: Table) -> String {
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// Seconds as people say them: `42s`, `5m`, `3h`, `12d`.
pub fn span(seconds: i64) -> String {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    match seconds.max(0) {
        seconds if seconds < 2 * MINUTE => format!("{seconds}s"),
        seconds if seconds < 2 * HOUR => format!("{}m", seconds / MINUTE),
        seconds if seconds < 2 * DAY => format!("{}h", seconds / HOUR),
        seconds => format!("{}d", seconds / DAY),
    }
}

/// Seven characters of a commit id; charts' versions as they are.
pub fn short(revision: &str) -> &str {
    let is_commit = revision.len() >= 40 && revision.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_commit { &revision[..7] } else { revision }
}

/// One or several revisions in short, each once.
pub fn revisions(one: &str, several: &[String]) -> String {
    if several.is_empty() {
        return short(one).to_owned();
    }
    let mut all: Vec<&str> = several.iter().map(|revision| short(revision)).collect();
    all.dedup();
    all.join(",")
}

/// The revisions that an Application was last compared with, in short.
pub fn compared(application: &Application) -> String {
    let sync = application.status.as_ref().and_then(|status| status.sync.as_ref());
    sync.map(|sync| revisions(&sync.revision, &sync.revisions)).unwrap_or_default()
}

/// `https://… apps/web @ HEAD`.
pub fn source(source: &ApplicationSource) -> String {
    let what = if source.chart.is_empty() { &source.path } else { &source.chart };
    let what = if what.is_empty() { String::new() } else { format!(" {what}") };
    format!("{}{what} @ {}", without_credentials(&source.repo_url), source.target_revision())
}

/// Where an Application's objects go.
pub fn destination(application: &Application) -> String {
    let destination = &application.spec.destination;
    let cluster = if destination.is_in_cluster() {
        "in-cluster"
    } else if destination.name.is_empty() {
        &destination.server
    } else {
        &destination.name
    };
    match destination.namespace.as_str() {
        "" => cluster.to_owned(),
        namespace => format!("{cluster}/{namespace}"),
    }
}

pub fn sync_status(application: &Application) -> SyncStatusCode {
    let sync = application.status.as_ref().and_then(|status| status.sync.as_ref());
    sync.map(|sync| sync.status).unwrap_or_default()
}

pub fn health_status(application: &Application) -> HealthStatusCode {
    let health = application.status.as_ref().and_then(|status| status.health.as_ref());
    health.and_then(|health| health.status).unwrap_or_default()
}

pub fn sync_cell(status: SyncStatusCode) -> Cell {
    Cell::new(status).fg(match status {
        SyncStatusCode::Synced => Color::Green,
        SyncStatusCode::OutOfSync => Color::Yellow,
        SyncStatusCode::Unknown => Color::DarkGrey,
    })
}

pub fn health_cell(status: HealthStatusCode) -> Cell {
    Cell::new(status).fg(match status {
        HealthStatusCode::Healthy => Color::Green,
        HealthStatusCode::Progressing => Color::Blue,
        HealthStatusCode::Suspended => Color::Magenta,
        HealthStatusCode::Missing => Color::Yellow,
        HealthStatusCode::Degraded => Color::Red,
        HealthStatusCode::Unknown => Color::DarkGrey,
    })
}

pub fn phase_cell(text: &str, phase: OperationPhase) -> Cell {
    Cell::new(text).fg(match phase {
        OperationPhase::Succeeded => Color::Green,
        OperationPhase::Failed | OperationPhase::Error => Color::Red,
        OperationPhase::Running | OperationPhase::Terminating => Color::Blue,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_one_unit_and_enough_of_it() {
        let texts = [-5, 0, 119, 120, 7_199, 7_200, 172_799, 172_800].map(span);
        assert_eq!(texts, ["0s", "0s", "119s", "2m", "119m", "2h", "47h", "2d"]);
    }

    #[test]
    fn commits_are_shortened_and_versions_are_not() {
        assert_eq!(short("0123456789abcdef0123456789abcdef01234567"), "0123456");
        assert_eq!(
            short("1.2.3-0123456789abcdef0123456789abcdef01234567"),
            short("1.2.3-0123456789abcdef0123456789abcdef01234567")
        );
        let commit = "0123456789abcdef0123456789abcdef01234567".to_owned();
        assert_eq!(revisions("", &[commit.clone(), commit, "1.0".to_owned()]), "0123456,1.0");
    }
}

//! States as badges: a word, a colour and a shape of its own, so that none rests on colour alone.

use ithaca_api::{HealthStatusCode, OperationPhase, ResultCode, SyncStatusCode, Time};
use maud::{Markup, html};

/// How a state looks: the class that gives its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Good,
    Busy,
    Warn,
    Bad,
    Calm,
    Dim,
}

impl Tone {
    fn class(self) -> &'static str {
        match self {
            Self::Good => "badge good",
            Self::Busy => "badge busy",
            Self::Warn => "badge warn",
            Self::Bad => "badge bad",
            Self::Calm => "badge calm",
            Self::Dim => "badge dim",
        }
    }

    pub fn icon(self) -> &'static str {
        match self {
            Self::Good => "check",
            Self::Busy => "turn",
            Self::Warn => "alert",
            Self::Bad => "cross",
            Self::Calm => "pause",
            Self::Dim => "unknown",
        }
    }
}

pub fn badge(tone: Tone, text: &str) -> Markup {
    html! { span class=(tone.class()) { (icon(tone.icon())) (text) } }
}

/// A picture of the sprite that every page carries.
pub fn icon(name: &str) -> Markup {
    html! {
        svg.icon aria-hidden="true" { use href={ "#i-" (name) } {} }
    }
}

pub fn sync_tone(status: SyncStatusCode) -> Tone {
    match status {
        SyncStatusCode::Synced => Tone::Good,
        SyncStatusCode::OutOfSync => Tone::Warn,
        SyncStatusCode::Unknown => Tone::Dim,
    }
}

pub fn health_tone(status: HealthStatusCode) -> Tone {
    match status {
        HealthStatusCode::Healthy => Tone::Good,
        HealthStatusCode::Progressing => Tone::Busy,
        HealthStatusCode::Suspended => Tone::Calm,
        HealthStatusCode::Missing => Tone::Warn,
        HealthStatusCode::Degraded => Tone::Bad,
        HealthStatusCode::Unknown => Tone::Dim,
    }
}

pub fn phase_tone(phase: OperationPhase) -> Tone {
    match phase {
        OperationPhase::Succeeded => Tone::Good,
        OperationPhase::Running | OperationPhase::Terminating => Tone::Busy,
        OperationPhase::Failed | OperationPhase::Error => Tone::Bad,
    }
}

pub fn result_tone(result: ResultCode) -> Tone {
    match result {
        ResultCode::Synced => Tone::Good,
        ResultCode::Pruned => Tone::Calm,
        ResultCode::PruneSkipped => Tone::Dim,
        ResultCode::SyncFailed => Tone::Bad,
    }
}

pub fn sync(status: SyncStatusCode) -> Markup {
    badge(sync_tone(status), status.as_str())
}

pub fn health(status: HealthStatusCode) -> Markup {
    badge(health_tone(status), status.as_str())
}

/// A moment: readable as it is, and told as `3 min ago` where scripts run.
pub fn moment(time: Time) -> Markup {
    moment_of(&time.to_string())
}

/// As `moment`, of an RFC 3339 text.
pub fn moment_of(rfc3339: &str) -> Markup {
    let readable = rfc3339.replace('T', " ");
    let readable = readable.split('.').next().unwrap_or(&readable).trim_end_matches('Z');
    html! { time datetime=(rfc3339) title={ (readable) " UTC" } data-ago { (readable) " UTC" } }
}

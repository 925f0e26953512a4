//! Sync windows: when Applications of a project may be synced. Pure: the time comes in.
//!
//! In: a project's `syncWindows`, an Application, whether somebody asked for the sync, and a time. Out: whether it may
//! go on, and if not, why and until when. A window that cannot be read holds up whom it is about and says so, for
//! nobody knows what it would have kept away.

mod schedule;

use crate::glob::{Glob, Separator};
use jiff::Timestamp;

use self::schedule::Schedule;
use super::permissions::ClusterRef;
use super::{AppProject, SyncWindow};
use crate::Time;

/// Changes that are looked through for the one that opens the gate.
const CHANGES: usize = 24;

/// Whom a window may be about.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The Application's name.
    pub application: &'a str,
    /// The namespace of its destination.
    pub namespace: &'a str,
    /// The cluster of its destination.
    pub cluster: ClusterRef<'a>,
}

/// What is asked: may this sync go on?
#[derive(Clone, Copy, Debug)]
struct Question {
    /// Somebody asked for the sync.
    manual: bool,
    /// When it began, where it is under way.
    started: Option<Timestamp>,
}

/// Whether a sync may go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gate {
    /// It may.
    Open,
    /// It may not.
    Closed {
        /// Why, and until when where that is known, for people.
        reason: String,
        /// When to ask again; None where only a change of the project helps.
        ask_again: Option<Timestamp>,
    },
}

/// The windows of a project, ready to be asked.
#[derive(Clone, Debug, Default)]
pub struct Windows {
    project: Box<str>,
    windows: Vec<Window>,
}

impl Windows {
    /// Reads a project's windows.
    pub fn of(project: &AppProject) -> Self {
        Self {
            project: project.metadata.name.as_deref().unwrap_or_default().into(),
            windows: project.spec.sync_windows.iter().map(Window::of).collect(),
        }
    }

    /// Whether a sync may start.
    pub fn may_start(&self, target: Target<'_>, manual: bool, now: Timestamp) -> Gate {
        self.ask(target, Question { manual, started: None }, now)
    }

    /// Whether a sync that began then may go on.
    pub fn may_go_on(&self, target: Target<'_>, manual: bool, started: Timestamp, now: Timestamp) -> Gate {
        self.ask(target, Question { manual, started: Some(started) }, now)
    }

    fn ask(&self, target: Target<'_>, question: Question, now: Timestamp) -> Gate {
        let (mut windows, mut broken) = (Vec::new(), None);
        for window in self.windows.iter().filter(|window| window.is_about(target)) {
            match &window.opening {
                Ok(opening) => windows.push((window, opening)),
                Err(error) => broken = broken.or(Some(error)),
            }
        }
        if let Some(error) = broken {
            let reason = format!("project '{}' has a sync window that cannot be read: {error}", self.project);
            return Gate::Closed { reason, ask_again: None };
        }
        let Some(obstacle) = obstacle(&windows, question, now) else { return Gate::Open };
        let reason = obstacle.to_string(&self.project);
        match opens(&windows, question, now) {
            Opens::At(opens) => {
                let reason = format!("{reason}, until {}", Time::from_timestamp(opens));
                Gate::Closed { reason, ask_again: Some(opens) }
            }
            Opens::NotBefore(ask_again) => Gate::Closed { reason, ask_again },
        }
    }
}

/// One window.
#[derive(Clone, Debug)]
struct Window {
    applications: Vec<Glob>,
    namespaces: Vec<Glob>,
    clusters: Vec<Glob>,
    all_must_match: bool,
    manual: bool,
    overrun: bool,
    opening: Result<Opening, String>,
}

/// When a window is active, and what it says then.
#[derive(Clone, Debug)]
struct Opening {
    allows: bool,
    schedule: Schedule,
}

impl Window {
    fn of(window: &SyncWindow) -> Self {
        let globs = |texts: &[String]| -> Vec<Glob> {
            let glob = |text: &String| Glob::parse(text, Separator::None).unwrap_or(Glob::Nothing);
            texts.iter().map(glob).collect()
        };
        Self {
            applications: globs(&window.applications),
            namespaces: globs(&window.namespaces),
            clusters: globs(&window.clusters),
            all_must_match: window.and_operator,
            manual: window.manual_sync,
            overrun: window.sync_overrun,
            opening: opening(window),
        }
    }

    /// Any of the three lists is enough, unless all that have entries must match. A window without any is about nobody.
    fn is_about(&self, target: Target<'_>) -> bool {
        let cluster = [target.cluster.server, target.cluster.name];
        let lists = [
            (&self.applications, [target.application, ""]),
            (&self.namespaces, [target.namespace, ""]),
            (&self.clusters, cluster),
        ];
        let mut verdicts = lists.iter().filter(|(globs, _)| !globs.is_empty()).map(|(globs, texts)| {
            let known = || texts.iter().filter(|text| !text.is_empty());
            globs.iter().any(|glob| known().any(|text| glob.matches(text)))
        });
        let some = lists.iter().any(|(globs, _)| !globs.is_empty());
        if self.all_must_match {
            some && verdicts.all(|matches| matches)
        } else {
            verdicts.any(|matches| matches)
        }
    }
}

fn opening(window: &SyncWindow) -> Result<Opening, String> {
    let allows = match window.kind.as_str() {
        "allow" => true,
        "deny" => false,
        other => return Err(format!("kind is {other:?}, and must be allow or deny")),
    };
    let schedule = Schedule::parse(&window.schedule, &window.duration, &window.time_zone)?;
    Ok(Opening { allows, schedule })
}

/// What keeps a sync away.
enum Obstacle<'a> {
    Active(&'a Schedule),
    NoneActive,
}

impl Obstacle<'_> {
    fn to_string(&self, project: &str) -> String {
        match self {
            Self::Active(schedule) => format!("a deny window of project '{project}' is active: {schedule}"),
            Self::NoneActive => format!("no allow window of project '{project}' is active"),
        }
    }
}

/// An active denial counts first; where there are windows that allow, one of them has to be active.
fn obstacle<'a>(
    windows: &[(&Window, &'a Opening)],
    question: Question,
    now: Timestamp,
) -> Option<Obstacle<'a>> {
    let overruns = |window: &Window| {
        let began = question.started.filter(|started| window.overrun && *started <= now);
        began.is_some_and(|started| {
            obstacle(windows, Question { started: None, ..question }, started).is_none()
        })
    };
    let excused = |window: &Window| (question.manual && window.manual) || overruns(window);
    let is_active = |opening: &Opening| opening.schedule.is_active(now);
    let denials = windows.iter().filter(|(_, opening)| !opening.allows && is_active(opening));
    let mut unexcused = denials.clone().filter(|(window, _)| !excused(window));
    if let Some((_, denial)) = unexcused.next() {
        return Some(Obstacle::Active(&denial.schedule));
    }
    if denials.count() > 0 {
        return None;
    }
    let mut allowing = windows.iter().filter(|(_, opening)| opening.allows).peekable();
    let none = allowing.peek().is_none();
    let mut allowing = allowing.map(|(window, opening)| (window, is_active(opening)));
    let closed = !none && !allowing.clone().any(|(_, active)| active);
    (closed && !allowing.all(|(window, _)| excused(window))).then_some(Obstacle::NoneActive)
}

/// When a closed gate opens.
enum Opens {
    At(Timestamp),
    /// It did not up to then, or nothing will ever change.
    NotBefore(Option<Timestamp>),
}

fn opens(windows: &[(&Window, &Opening)], question: Question, now: Timestamp) -> Opens {
    let mut looked_at = None;
    for _ in 0..CHANGES {
        let from = looked_at.unwrap_or(now);
        let changes = windows.iter().filter_map(|(_, opening)| opening.schedule.next_change(from));
        let Some(next) = changes.min() else { break };
        if obstacle(windows, question, next).is_none() {
            return Opens::At(next);
        }
        looked_at = Some(next);
    }
    Opens::NotBefore(looked_at)
}

#[cfg(test)]
mod tests;

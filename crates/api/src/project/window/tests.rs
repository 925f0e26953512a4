//! The rules of sync windows, one by one, and what holds for any of them.

use jiff::SignedDuration;
use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};

use super::*;

/// A Wednesday.
const NOON: &str = "2026-07-01T12:00:00Z";
const HERE: ClusterRef<'static> =
    ClusterRef { server: "https://kubernetes.default.svc", name: "in-cluster", project: "" };
const WEB: Target<'static> = Target { application: "web", namespace: "shop", cluster: HERE };

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn windows(windows: Value) -> Windows {
    let project = json!({"metadata": {"name": "shop"}, "spec": {"syncWindows": windows}});
    Windows::of(&serde_json::from_value(project).expect("an AppProject"))
}

/// A window about all Applications, with more said over it.
fn window(kind: &str, schedule: &str, duration: &str, more: Value) -> Value {
    let mut window = json!({"kind": kind, "schedule": schedule, "duration": duration, "applications": ["*"]});
    for (key, value) in more.as_object().expect("an object") {
        window[key] = value.clone();
    }
    window
}

fn until(gate: &Gate) -> Option<Timestamp> {
    match gate {
        Gate::Open => None,
        Gate::Closed { ask_again, .. } => *ask_again,
    }
}

#[rstest]
#[case::no_windows(json!([]), true, true)]
#[case::denied(json!([window("deny", "0 11 * * *", "2h", json!({}))]), false, false)]
#[case::denied_but_for_people(json!([window("deny", "0 11 * * *", "2h", json!({"manualSync": true}))]), false, true)]
#[case::one_of_two_denials_holds_people(
    json!([
        window("deny", "0 11 * * *", "2h", json!({"manualSync": true})),
        window("deny", "0 11 * * *", "2h", json!({})),
    ]),
    false, false
)]
#[case::denied_before(json!([window("deny", "0 9 * * *", "2h", json!({}))]), true, true)]
#[case::allowed(json!([window("allow", "0 11 * * *", "2h", json!({}))]), true, true)]
#[case::not_allowed_yet(json!([window("allow", "0 13 * * *", "2h", json!({}))]), false, false)]
#[case::not_allowed_but_for_people(json!([window("allow", "0 13 * * *", "2h", json!({"manualSync": true}))]), false, true)]
#[case::one_that_allows_is_enough(
    json!([window("allow", "0 13 * * *", "2h", json!({})), window("allow", "0 11 * * *", "2h", json!({}))]),
    true, true
)]
#[case::denial_wins(
    json!([window("allow", "0 11 * * *", "2h", json!({})), window("deny", "0 11 * * *", "2h", json!({}))]),
    false, false
)]
#[case::a_denial_that_lets_people_through_counts_first(
    json!([
        window("deny", "0 11 * * *", "2h", json!({"manualSync": true})),
        window("allow", "0 13 * * *", "2h", json!({})),
    ]),
    false, true
)]
#[case::the_first_moment_is_inside(json!([window("deny", "0 12 * * *", "1h", json!({}))]), false, false)]
#[case::the_last_moment_is_not(json!([window("deny", "0 11 * * *", "1h", json!({}))]), true, true)]
#[case::seconds_as_a_number(json!([window("deny", "0 11 * * *", "3601", json!({}))]), false, false)]
#[case::weekday(json!([window("deny", "* * * * MON", "1m", json!({}))]), true, true)]
#[case::day_or_weekday(json!([window("deny", "0 11 1 * MON", "2h", json!({}))]), false, false)]
#[case::here_it_is_two_o_clock(json!([window("deny", "0 14 * * *", "1h", json!({"timeZone": "Europe/Berlin"}))]), false, false)]
#[case::there_it_is_not(json!([window("deny", "0 12 * * *", "1h", json!({"timeZone": "Europe/Berlin"}))]), true, true)]
#[case::about_another(json!([window("deny", "* * * * *", "1h", json!({"applications": ["bank"]}))]), true, true)]
#[case::by_namespace(json!([window("deny", "* * * * *", "1h", json!({"applications": ["bank"], "namespaces": ["sh*"]}))]), false, false)]
#[case::by_cluster_name(json!([window("deny", "* * * * *", "1h", json!({"applications": [], "clusters": ["in-*"]}))]), false, false)]
#[case::by_cluster_server(json!([window("deny", "* * * * *", "1h", json!({"applications": [], "clusters": ["https://kubernetes.*"]}))]), false, false)]
#[case::and_needs_all(
    json!([window("deny", "* * * * *", "1h", json!({"namespaces": ["bank"], "andOperator": true}))]), true, true
)]
#[case::and_has_all(
    json!([window("deny", "* * * * *", "1h", json!({"namespaces": ["shop"], "andOperator": true}))]), false, false
)]
#[case::about_nobody(json!([window("deny", "* * * * *", "1h", json!({"applications": [], "andOperator": true}))]), true, true)]
fn who_may_start(#[case] spec: Value, #[case] automatic: bool, #[case] manual: bool) {
    let windows = windows(spec);
    assert_eq!(windows.may_start(WEB, false, at(NOON)) == Gate::Open, automatic, "automatic");
    assert_eq!(windows.may_start(WEB, true, at(NOON)) == Gate::Open, manual, "manual");
}

#[rstest]
#[case::kind(json!({"kind": "perhaps"}), "perhaps")]
#[case::schedule(json!({"schedule": "whenever"}), "five fields")]
#[case::field(json!({"schedule": "61 * * * *"}), "61 * * * *")]
#[case::no_such_day(json!({"schedule": "0 0 30 2 *"}), "no day is ever like that")]
#[case::seconds(json!({"schedule": "0 0 0 * * *"}), "five fields")]
#[case::duration(json!({"duration": "long"}), "long")]
#[case::zone(json!({"timeZone": "Europe/Atlantis"}), "Europe/Atlantis")]
fn a_window_that_cannot_be_read_says_so_to_whom_it_is_about(#[case] wrong: Value, #[case] told: &str) {
    let windows = windows(json!([window("allow", "* * * * *", "1h", wrong)]));
    let gate = windows.may_start(WEB, true, at(NOON));
    let is_told = matches!(&gate, Gate::Closed { reason, ask_again: None } if reason.contains(told) && reason.contains("'shop'"));
    assert!(is_told, "{gate:?}");
}

#[test]
fn a_window_that_cannot_be_read_is_no_matter_to_others() {
    let windows = windows(json!([window("deny", "whenever", "1h", json!({"applications": ["bank"]}))]));
    assert_eq!(windows.may_start(WEB, false, at(NOON)), Gate::Open);
}

#[rstest]
#[case::denial_ends(json!([window("deny", "0 11 * * *", "90m", json!({}))]), "2026-07-01T12:30:00Z")]
#[case::allowance_begins(json!([window("allow", "0 8 * * MON", "1h", json!({}))]), "2026-07-06T08:00:00Z")]
#[case::one_denial_after_another(
    json!([window("deny", "0 11 * * *", "2h", json!({})), window("deny", "0 13 * * *", "1h", json!({}))]),
    "2026-07-01T14:00:00Z"
)]
#[case::allowed_while_denied(
    json!([window("deny", "0 11 1 * *", "3h", json!({})), window("allow", "30 12 * * *", "1h", json!({}))]),
    "2026-07-02T12:30:00Z"
)]
#[case::a_denial_that_goes_on(json!([window("deny", "0,30 11-13 * * *", "45m", json!({}))]), "2026-07-01T14:15:00Z")]
fn it_is_told_when_the_gate_opens(#[case] spec: Value, #[case] expected: &str) {
    let gate = windows(spec).may_start(WEB, false, at(NOON));
    assert_eq!(until(&gate), Some(at(expected)), "{gate:?}");
    let is_told = matches!(&gate, Gate::Closed { reason, .. } if reason.contains(expected));
    assert!(is_told, "{gate:?}");
}

#[test]
fn a_gate_that_does_not_open_names_no_time() {
    let gate = windows(json!([window("deny", "* * * * *", "1h", json!({}))])).may_start(WEB, false, at(NOON));
    let is_silent = matches!(&gate, Gate::Closed { reason, ask_again: Some(_) } if !reason.contains("until"));
    assert!(is_silent, "{gate:?}");
}

#[test]
fn clocks_that_go_forward_or_back_move_no_window_twice() {
    let night = windows(json!([window("deny", "30 2 * * *", "1h", json!({"timeZone": "Europe/Berlin"}))]));
    // On that night half past two is skipped: the window opens when the clock has gone forward.
    assert!(night.may_start(WEB, false, at("2026-03-29T01:45:00Z")) != Gate::Open);
    let gate = night.may_start(WEB, false, at("2026-10-25T00:45:00Z"));
    assert!(gate != Gate::Open, "half past two before the clock goes back");
}

#[rstest]
#[case::denial(json!([window("deny", "0 11 * * *", "2h", json!({}))]), "2026-07-01T10:30:00Z", false)]
#[case::denial_with_overrun(json!([window("deny", "0 11 * * *", "2h", json!({"syncOverrun": true}))]), "2026-07-01T10:30:00Z", true)]
#[case::began_inside(json!([window("deny", "0 11 * * *", "2h", json!({"syncOverrun": true}))]), "2026-07-01T11:30:00Z", false)]
#[case::allowance(json!([window("allow", "0 11 * * *", "30m", json!({}))]), "2026-07-01T11:10:00Z", false)]
#[case::allowance_with_overrun(json!([window("allow", "0 11 * * *", "30m", json!({"syncOverrun": true}))]), "2026-07-01T11:10:00Z", true)]
#[case::began_before_it(json!([window("allow", "0 11 * * *", "30m", json!({"syncOverrun": true}))]), "2026-07-01T10:10:00Z", false)]
fn a_running_sync_may_overrun_where_it_began_well(
    #[case] spec: Value,
    #[case] began: &str,
    #[case] expected: bool,
) {
    let gate = windows(spec).may_go_on(WEB, false, at(began), at(NOON));
    assert_eq!(gate == Gate::Open, expected, "{gate:?}");
}

proptest! {
    #[test]
    fn any_texts_are_read_or_refused(
        schedule in r"[0-9*,/?LW#A-Za-z -]{0,40}|([0-9*,/?L#-]{1,6} ){4}[0-9*,/?L#-]{1,6}",
        duration in r"[0-9]{1,12}[smh]|[0-9hms.]{0,12}",
        zone in "|UTC|Europe/Berlin|[A-Za-z/_.]{0,12}",
        now in -10_000_000_000_i64..100_000_000_000,
    ) {
        let spec = json!([window("allow", &schedule, &duration, json!({"timeZone": zone}))]);
        let gate = windows(spec).may_start(WEB, false, Timestamp::from_second(now).expect("in range"));
        if let Gate::Closed { ask_again: Some(again), .. } = gate {
            prop_assert!(again.as_second() > now);
        }
    }

    /// A closed gate stays closed until the time that it names.
    #[test]
    fn a_gate_opens_at_its_time_and_not_before(
        kind in "allow|deny",
        (minute, hours, day) in (0..60_u8, 0..24_u8, 0..7_u8),
        length in 1..3000_i64,
        offset in 0..1_000_000_i64,
    ) {
        let schedule = format!("{minute} {hours} * * {day}");
        let windows = windows(json!([
            window(&kind, &schedule, &format!("{length}m"), json!({"timeZone": "America/New_York"})),
            window("deny", "15 * * * *", "20m", json!({})),
        ]));
        let now = at(NOON) + SignedDuration::from_secs(offset);
        if let Gate::Closed { ask_again: Some(opens), .. } = windows.may_start(WEB, false, now) {
            prop_assert!(opens > now);
            let before = opens - SignedDuration::from_secs(1);
            prop_assert!(before < now || windows.may_start(WEB, false, before) != Gate::Open);
        }
    }
}

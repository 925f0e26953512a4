//! What constraints take, by hand here; `crates/renderer/tests/versions` holds the same rules against the real helm.

use proptest::prelude::*;

use super::*;

fn version(text: &str) -> Version {
    Version::parse(text).expect("a version")
}

fn check(constraint: &str, takes: &[&str], refuses: &[&str]) {
    let read = VersionConstraint::parse(constraint).expect(constraint);
    for text in takes {
        assert!(read.matches(&version(text)), "{constraint:?} takes {text}");
    }
    for text in refuses {
        assert!(!read.matches(&version(text)), "{constraint:?} does not take {text}");
    }
}

#[test]
fn a_version_takes_itself_and_a_beginning_all_that_begin_so() {
    check("1.2.3", &["1.2.3", "v1.2.3", "1.2.3+build"], &["1.2.4", "1.2.3-rc.1"]);
    check("=v1.2.3", &["1.2.3"], &["1.2.2"]);
    for constraint in ["1.2", "1.2.x", "1.2.*", "~1.2", "v1.2.X"] {
        check(constraint, &["1.2.0", "1.2.99"], &["1.3.0", "1.1.9", "1.2.1-rc.1"]);
    }
    for constraint in ["*", "x", "X.x.x", ">=0"] {
        check(constraint, &["0.0.0", "17.1.2"], &["1.0.0-rc.1"]);
    }
}

#[test]
fn ranges_end_where_helm_ends_them() {
    check("~1.2.3", &["1.2.3", "1.2.9"], &["1.2.2", "1.3.0"]);
    check("~>1", &["1.0.0", "1.9.0"], &["0.9.0", "2.0.0"]);
    check("^1.2.3", &["1.2.3", "1.9.0"], &["1.2.2", "2.0.0"]);
    check("^0.2.3", &["0.2.3", "0.2.9"], &["0.3.0", "1.2.3"]);
    check("^0.0.3", &["0.0.3"], &["0.0.4", "0.0.2"]);
    check("^0.0", &["0.0.9"], &["0.1.0"]);
    check("^0", &["0.9.9"], &["1.0.0"]);
    check(">1.2", &["1.3.0", "2.0.0"], &["1.2.9"]);
    check(">11", &["12.0.0"], &["11.1.0"]);
    check("<=1.2", &["1.2.9", "0.1.0"], &["1.3.0"]);
    check("1.2 - 1.4", &["1.2.0", "1.4.9"], &["1.1.9", "1.5.0"]);
    check("!=1.2", &["1.3.0"], &["1.2.0", "1.2.5"]);
}

#[test]
fn constraints_are_joined_by_and_and_or() {
    check(">=1.2, <2 || 3.x", &["1.2.0", "3.7.0"], &["1.1.0", "2.0.0", "4.0.0"]);
    check(">= 1.2 < 2 !=1.5.0", &["1.4.0"], &["1.5.0", "2.0.0"]);
    check("1.0 - 1.2,!=1.1.1", &["1.1.0"], &["1.1.1"]);
}

#[test]
fn prereleases_are_taken_where_their_alternative_names_one() {
    check(">=1.2.0-0", &["1.2.0-rc.1", "1.3.0-alpha", "1.2.0"], &["1.1.0"]);
    check(">=1.2.0-0, <2", &["1.3.0-rc.1"], &["2.0.0"]);
    check(">=1.2.0-0 <1.3 || 2.x", &["1.2.1-rc.1", "2.0.0"], &["2.1.0-rc.1"]);
    check("^1.2.0-beta.2", &["1.2.0-beta.11", "1.2.0-rc.1", "1.9.0"], &["1.2.0-beta.1", "1.2.0-alpha"]);
}

#[test]
fn what_is_no_constraint_is_refused() {
    let long = "1".repeat(600);
    let many = vec!["1.x"; 40].join("||");
    for text in [
        "",
        " ",
        "main",
        "1.x-",
        "1.2.3.4",
        ">",
        "1.2 ||",
        "|| 1",
        "1,,2",
        ",1",
        "1,",
        ">1<2",
        "> = 1",
        "1y",
        "feature/1.x",
        "1.2 -1.4 -",
        "^1 - 2",
        "1.2.3-01",
        "=1.2 - 2",
        "1.2.3+",
        "V1.x",
        &long,
        &many,
        "99999999999999999999.x",
    ] {
        assert!(VersionConstraint::parse(text).is_err(), "{text:?}");
    }
    let error = VersionConstraint::parse("latest").expect_err("no constraint").to_string();
    assert!(error.contains("\"latest\"") && error.contains("^1.2"), "{error}");
}

#[test]
fn versions_are_read_loosely_and_ordered_strictly() {
    assert_eq!(version("v1"), version("1.0.0"));
    assert_eq!(version("1.2"), version("01.2.0+build.5"));
    let ordered = ["0.9.0", "1.0.0-1", "1.0.0-2", "1.0.0-10", "1.0.0-a", "1.0.0-a.b", "1.0.0", "1.10.0"];
    assert!(ordered.windows(2).all(|pair| version(pair[0]) < version(pair[1])));
    for text in ["", "v", "main", "1.x", "1.2.3.4", "1.2.", "-1", "1.0.0-", "1.0.0-a..b", "1 ", "V1"] {
        assert_eq!(Version::parse(text), None, "{text:?}");
    }
}

#[test]
fn the_highest_is_the_first_of_the_highest() {
    let highest = |constraint: &str, texts: &[&'static str]| {
        VersionConstraint::parse(constraint).expect("a constraint").highest(texts.iter().copied())
    };
    assert_eq!(highest("1.x", &["v1.9.0", "latest", "v1.10.0", "v2.0.0", "v1.11.0-rc.1"]), Some("v1.10.0"));
    assert_eq!(highest("1.x", &["1.2.0", "v1.2.0", "1.2.0+b"]), Some("1.2.0"));
    assert_eq!(highest("3.x", &["1.0.0", "main"]), None);
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in r"[0-9xX*.^~<>=!|, v+a-c-]{0,24}", other in r"[0-9.av+-]{0,12}") {
        let version = Version::parse(&other);
        if let (Ok(constraint), Some(version)) = (VersionConstraint::parse(&text), &version) {
            constraint.matches(version);
        }
        if let Some(version) = version {
            let itself = VersionConstraint::parse(&format!(">={other}")).expect("a constraint");
            prop_assert!(itself.matches(&version));
        }
    }
}

//! Indexes as tools write them, as people might, and as nobody should.

use super::*;

fn versions(index: &str, chart: &str) -> Result<Option<Vec<Entry>>, String> {
    let mut found = Vec::new();
    let is_there =
        read(index.as_bytes(), chart, |entry| found.push(entry)).map_err(|error| error.to_string())?;
    Ok(is_there.then_some(found))
}

fn web(version: &str, urls: &[&str], digest: &str) -> Entry {
    Entry {
        version: version.to_owned(),
        urls: urls.iter().map(|url| (*url).to_owned()).collect(),
        digest: digest.to_owned(),
    }
}

fn expected() -> Vec<Entry> {
    vec![
        web("1.10.0", &["web-1.10.0.tgz", "https://b.example.org/web.tgz"], "aa"),
        web("v1.9.0+b", &["x"], ""),
    ]
}

/// As `helm repo index` writes it.
const PLAIN: &str = r#"apiVersion: v1
entries:
  db:
  - apiVersion: v2
    description: |
      It speaks of
      version: 0.0.1
    urls:
    - db.tgz
    version: 3.0.0
  web:
  - annotations:
      version: 9.9.9
      urls: none
    apiVersion: v2
    created: "2026-01-01T00:00:00Z"
    dependencies:
    - name: db
      version: 3.x
      urls: []
    description: 'folded over
      version: 8.8.8'
    digest: aa
    name: web
    urls:
    - web-1.10.0.tgz
    - https://b.example.org/web.tgz
    version: 1.10.0
  - urls: [x]
    version: v1.9.0+b
  webby:
  - urls:
    - webby.tgz
    version: 7.0.0
generated: "2026-01-01T00:00:00Z"
"#;

#[test]
fn the_versions_of_one_chart_are_found_however_the_index_is_written() {
    let quoted = "\"entries\":\n  'web':\n  - {\"version\": \"1.10.0\", digest: aa, \
                  urls: [web-1.10.0.tgz, 'https://b.example.org/web.tgz']}\n  - version: v1.9.0+b\n    urls: [x]\n";
    let deeper = |line: &str| {
        if line.starts_with("  -") || line.starts_with("   ") { "  " } else { "" }.to_owned() + line
    };
    let indented = PLAIN.lines().map(|line| deeper(line) + "\r\n").collect::<String>();
    let flow = format!("entries: {{web: {}}}", json().split_once("\"web\":").map_or("", |(_, rest)| rest));
    let flow = flow.trim_end_matches('}').to_owned() + "}";
    let lonely_dashes = PLAIN.replace("  - urls: [x]\n", "  -\n    urls: [x]\n\n    # a remark\n");
    let at_the_name = "entries:\n web:\n - urls:\n   - web-1.10.0.tgz\n   - https://b.example.org/web.tgz\n   \
                       digest: aa\n   version: 1.10.0\n - version: v1.9.0+b\n   urls:\n   - x\n";
    for index in [PLAIN, quoted, &indented, &flow, &lonely_dashes, at_the_name, &json()] {
        assert_eq!(versions(index, "web"), Ok(Some(expected())), "{index}");
    }
}

fn json() -> String {
    r#"{"apiVersion":"v1","entries":{"db":[{"version":"3.0.0"}],"web":[
        {"version":"1.10.0","urls":["web-1.10.0.tgz","https://b.example.org/web.tgz"],"digest":"aa"},
        {"urls":["x"],"version":"v1.9.0+b"}]}}"#
        .to_owned()
}

#[test]
fn a_chart_that_is_not_there_is_told_from_one_without_versions() {
    assert_eq!(versions(PLAIN, "we"), Ok(None));
    assert_eq!(versions("entries: {}\n", "web"), Ok(None));
    assert_eq!(versions("entries:\n", "web"), Ok(None));
    assert_eq!(versions("apiVersion: v1\n", "web"), Ok(None));
    assert_eq!(versions("entries:\n  web: []\n", "web"), Ok(Some(Vec::new())));
    assert_eq!(versions("entries:\n  web:\n", "web"), Ok(Some(Vec::new())));
}

#[test]
fn an_odd_version_hides_no_other() {
    let odd = "entries:\n  web:\n  - null\n  - version: {a: 1}\n    urls: 7\n    digest: [1]\n  \
               - version: 1.0.0\n    urls: [a, {b: c}]\n";
    let found = versions(odd, "web").expect("an index").expect("the chart");
    assert_eq!(found.last(), Some(&web("1.0.0", &["a"], "")));
    let json = r#"{"entries":{"web":[null,{"version":1,"urls":{},"digest":false},{"version":"1.0.0"}]}}"#;
    assert_eq!(
        versions(json, "web").expect("an index").expect("the chart").last(),
        Some(&web("1.0.0", &[], ""))
    );
}

#[test]
fn what_is_no_index_is_refused() {
    for text in
        ["", "<html>not found</html>", "- a\n", "entries: 5\n", "{\"entries\": ", "entries:\n  web: 5\n"]
    {
        let error = versions(text, "web").expect_err(text);
        assert!(
            error.starts_with("its index cannot be read: ") && !error.contains('\n'),
            "{text:?}: {error}"
        );
    }
    let long = format!("entries:\n  db:\n  - a: {}\n", "x".repeat(1 << 20));
    let error = versions(&long, "web").expect_err("a long line");
    assert!(error.contains("1 MiB"), "{error}");
    let bomb = "a: &a [x,x,x,x]\nb: &b [*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c]\n\
                e: &e [*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e]\ng: &g [*f,*f,*f,*f]\nh: &h [*g,*g,*g,*g]\n\
                i: &i [*h,*h,*h,*h]\nj: &j [*i,*i,*i,*i]\nk: [*j,*j,*j,*j]\n";
    assert!(versions(bomb, "web").is_err());
    let deep = format!("entries: {}", "[".repeat(100_000));
    assert!(versions(&deep, "web").is_err());
    let deep_json = format!("{{\"entries\": {}", "[".repeat(100_000));
    assert!(versions(&deep_json, "web").is_err());
}

#[test]
fn many_versions_are_read_one_by_one() {
    let many: String = (0..20_000)
        .map(|number| {
            format!("  - appVersion: \"1\"\n    urls:\n    - db-{number}.tgz\n    version: 1.{number}.0\n")
        })
        .collect();
    let index = format!("entries:\n  db:\n{many}  web:\n  - version: 1.0.0\n");
    assert_eq!(versions(&index, "web"), Ok(Some(vec![web("1.0.0", &[], "")])));
    assert_eq!(versions(&index, "db").expect("an index").expect("the chart").len(), 20_000);
}

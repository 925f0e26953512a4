//! Where people find what an object serves.
//!
//! What comes in: a manifest. What goes out: URLs, each once and in order. What it does not do: ask whether anybody
//! answers there.
//! Source: what Argo CD shows of Ingresses, and its annotation for links.

use std::collections::HashSet;

use serde_json::Value;

/// How the annotations begin that link an object to a page.
const LINK: &str = "link.argocd.argoproj.io/";

/// The URLs of an object: what its annotations link to, and the hosts and paths of an Ingress.
pub fn links(group: &str, kind: &str, manifest: &Value) -> Vec<String> {
    let annotations = manifest.pointer("/metadata/annotations").and_then(Value::as_object);
    let linked = annotations.into_iter().flatten().filter(|(name, _)| name.starts_with(LINK));
    // The text may name the link before it: `title|url`.
    let linked = linked.filter_map(|(_, text)| text.as_str()?.rsplit('|').next());
    let mut links: Vec<String> = linked.filter(|url| is_web(url)).map(str::to_owned).collect();
    if group == "networking.k8s.io" && kind == "Ingress" {
        links.extend(of_ingress(manifest));
    }
    let mut seen = HashSet::new();
    links.retain(|link| seen.insert(link.clone()));
    links
}

fn is_web(url: &str) -> bool {
    url.starts_with("https://") || url.starts_with("http://")
}

fn of_ingress(manifest: &Value) -> Vec<String> {
    let list =
        |value: &Value, field: &str| value.get(field).and_then(Value::as_array).cloned().unwrap_or_default();
    let spec = &manifest["spec"];
    let secured: Vec<Value> = list(spec, "tls").iter().flat_map(|tls| list(tls, "hosts")).collect();
    let mut links = Vec::new();
    for rule in list(spec, "rules") {
        let Some(host) = rule["host"].as_str().filter(|host| !host.is_empty() && !host.contains('*')) else {
            continue;
        };
        let scheme = if secured.iter().any(|secured| secured == host) { "https" } else { "http" };
        let paths = list(&rule["http"], "paths");
        let paths: Vec<&str> = paths.iter().filter_map(|path| path["path"].as_str()).collect();
        let paths = if paths.is_empty() { vec![""] } else { paths };
        links
            .extend(paths.into_iter().map(|path| format!("{scheme}://{host}{}", path.trim_end_matches('*'))));
    }
    links
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_ingress_leads_to_its_hosts_and_paths() {
        let ingress = json!({"spec": {
            "tls": [{"hosts": ["shop.example.org"]}],
            "rules": [
                {"host": "shop.example.org", "http": {"paths": [{"path": "/"}, {"path": "/api/*"}, {"path": "/"}]}},
                {"host": "plain.example.org"},
                {"host": "*.example.org", "http": {"paths": [{"path": "/"}]}},
                {"http": {"paths": [{"path": "/"}]}},
            ],
        }});
        assert_eq!(
            links("networking.k8s.io", "Ingress", &ingress),
            ["https://shop.example.org/", "https://shop.example.org/api/", "http://plain.example.org"]
        );
        assert!(links("example.org", "Ingress", &ingress).is_empty());
        assert!(links("networking.k8s.io", "Ingress", &json!({"spec": {"rules": "none"}})).is_empty());
    }

    #[test]
    fn annotations_link_to_pages_and_to_nothing_else() {
        let annotations = json!({
            "link.argocd.argoproj.io/external-link": "Manual|https://docs.example.org",
            "link.argocd.argoproj.io/bad": "javascript:alert(1)",
            "example.org/link": "https://example.org",
        });
        let object = json!({"metadata": {"annotations": annotations}});
        assert_eq!(links("apps", "Deployment", &object), ["https://docs.example.org"]);
    }
}

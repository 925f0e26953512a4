//! What a plugin finds in its environment, as Argo CD's plugins do: the build's variables, what the source says in
//! `plugin.env` with a prefix, so that it stands for nothing else, and the source's parameters.

use std::collections::HashMap;

use ithaca_api::ApplicationSource;
use ithaca_api::build_environment::REVISION;
use ithaca_api::source::PluginParameter;

use crate::environment::Environment;

/// The variables by name. The revision is told to those alone that say that they depend on it.
pub(super) fn of(
    spec: &ApplicationSource,
    environment: &Environment,
    uses_revision: bool,
) -> HashMap<String, String> {
    let is_told = |name: &str| uses_revision || !REVISION.contains(&name);
    let build = environment.variables().filter(|(name, _)| is_told(name));
    let mut told: HashMap<_, _> = build.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let Some(plugin) = &spec.plugin else { return told };
    let own = plugin.env.iter();
    told.extend(own.map(|entry| (format!("ARGOCD_ENV_{}", entry.name), environment.expand(&entry.value))));
    told.insert("ARGOCD_APP_PARAMETERS".to_owned(), json(&plugin.parameters));
    plugin.parameters.iter().for_each(|parameter| told.extend(variables(parameter)));
    told
}

/// A list, with sorted keys; `null` for an empty one, as Argo CD has it.
fn json(parameters: &[PluginParameter]) -> String {
    match parameters {
        [] => "null".to_owned(),
        parameters => serde_json::to_value(parameters).map(|json| json.to_string()).unwrap_or_default(),
    }
}

fn variables(parameter: &PluginParameter) -> Vec<(String, String)> {
    let name = format!("PARAM_{}", escaped(&parameter.name));
    let text = parameter.string.iter().map(|value| (name.clone(), value.clone()));
    let map = parameter.map.iter().flatten();
    let map = map.map(|(key, value)| (format!("{name}_{}", escaped(key)), value.clone()));
    let list = parameter.array.iter().flatten().enumerate();
    let list = list.map(|(index, value)| (format!("{name}_{index}"), value.clone()));
    text.chain(map).chain(list).collect()
}

/// A name as variables may have it.
fn escaped(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_uppercase() || c.is_ascii_digit() { c } else { '_' };
    name.to_uppercase().chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use ithaca_api::build_environment::Build;
    use serde_json::{Value, json};

    use super::*;

    fn told(plugin: Value, uses_revision: bool) -> HashMap<String, String> {
        let spec = serde_json::from_value(json!({"repoURL": "r", "plugin": plugin})).expect("a source");
        let build = Build { application: "shop", project: "retail", ..Build::default() };
        let environment = Environment::new(build).at("0123456789").on("v1.37.2+k3s1", &["v1".to_owned()]);
        of(&spec, &environment, uses_revision)
    }

    #[test]
    fn the_sources_own_variables_have_a_prefix_and_may_use_the_builds() {
        let env = json!([{"name": "FOO", "value": "$ARGOCD_APP_NAME-x"}, {"name": "PATH", "value": "/evil"}]);
        let told = told(json!({"env": env}), false);
        assert_eq!(told["ARGOCD_ENV_FOO"], "shop-x");
        assert_eq!(told["ARGOCD_ENV_PATH"], "/evil");
        assert!(!told.contains_key("PATH"));
        assert_eq!((told["KUBE_VERSION"].as_str(), told["KUBE_API_VERSIONS"].as_str()), ("1.37.2", "v1"));
        assert_eq!(told["ARGOCD_APP_PROJECT_NAME"], "retail");
    }

    #[test]
    fn parameters_are_told_as_json_and_one_by_one() {
        let parameters = json!([
            {"name": "some-text", "string": ""},
            {"name": "files", "array": ["a", "b"]},
            {"name": "helm.sets", "map": {"image.tag": "v1"}},
        ]);
        let found = told(json!({"parameters": parameters}), false);
        assert_eq!(
            found["ARGOCD_APP_PARAMETERS"],
            r#"[{"name":"some-text","string":""},{"array":["a","b"],"name":"files"},{"map":{"image.tag":"v1"},"name":"helm.sets"}]"#
        );
        for (name, value) in [
            ("PARAM_SOME_TEXT", ""),
            ("PARAM_FILES_0", "a"),
            ("PARAM_FILES_1", "b"),
            ("PARAM_HELM_SETS_IMAGE_TAG", "v1"),
        ] {
            assert_eq!(found.get(name).map(String::as_str), Some(value), "{name}");
        }
        assert_eq!(told(json!({}), false)["ARGOCD_APP_PARAMETERS"], "null");
        assert!(!told(json!(null), false).contains_key("ARGOCD_APP_PARAMETERS"));
    }

    #[test]
    fn the_revision_is_told_to_those_that_use_it() {
        assert!(!told(json!({}), false).contains_key("ARGOCD_APP_REVISION"));
        assert_eq!(told(json!({}), true)["ARGOCD_APP_REVISION_SHORT"], "0123456");
    }
}

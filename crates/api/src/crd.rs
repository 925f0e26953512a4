//! The CustomResourceDefinitions of this group, built from the types. They install beside or over
//! Argo CD's own.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Value, json};

use crate::application::ApplicationSpec;
use crate::operation::Operation;
use crate::project::{AppProjectSpec, AppProjectStatus};
use crate::schema::structural;
use crate::status::ApplicationStatus;
use crate::{GROUP, VERSION};

/// Every CustomResourceDefinition, in the order in which they are installed.
pub fn crds() -> Vec<CustomResourceDefinition> {
    [application(), project()]
        .into_iter()
        .map(|value| serde_json::from_value(value).expect("the definitions are written below"))
        .collect()
}

fn application() -> Value {
    let properties = json!({
        "operation": structural::<Operation>(),
        "spec": structural::<ApplicationSpec>(),
        "status": structural::<ApplicationStatus>(),
    });
    let columns = json!([
        {"name": "Sync Status", "type": "string", "jsonPath": ".status.sync.status"},
        {"name": "Health Status", "type": "string", "jsonPath": ".status.health.status"},
        {"name": "Revision", "type": "string", "jsonPath": ".status.sync.revision", "priority": 10},
        {"name": "Project", "type": "string", "jsonPath": ".spec.project", "priority": 10},
    ]);
    let names = json!({
        "kind": "Application",
        "listKind": "ApplicationList",
        "plural": "applications",
        "singular": "application",
        "shortNames": ["app", "apps"],
    });
    let mut crd = definition(names, "Application: what should run where.", properties);
    crd["spec"]["versions"][0]["additionalPrinterColumns"] = columns;
    // Clients write status and operation to the main resource, so there is no subresource.
    crd["spec"]["versions"][0]["subresources"] = json!({});
    crd
}

fn project() -> Value {
    let properties = json!({
        "spec": structural::<AppProjectSpec>(),
        "status": structural::<AppProjectStatus>(),
    });
    let names = json!({
        "kind": "AppProject",
        "listKind": "AppProjectList",
        "plural": "appprojects",
        "singular": "appproject",
        "shortNames": ["appproj", "appprojs"],
    });
    definition(names, "AppProject: what its Applications may do.", properties)
}

fn definition(names: Value, description: &str, mut properties: Value) -> Value {
    properties["apiVersion"] = json!({"type": "string"});
    properties["kind"] = json!({"type": "string"});
    properties["metadata"] = json!({"type": "object"});
    let name = format!("{}.{GROUP}", names["plural"].as_str().unwrap_or_default());
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": name,
            "labels": {"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": "argocd"},
        },
        "spec": {
            "group": GROUP,
            "names": names,
            "scope": "Namespaced",
            "versions": [{
                "name": VERSION,
                "served": true,
                "storage": true,
                "schema": {"openAPIV3Schema": {
                    "description": description,
                    "type": "object",
                    "required": ["metadata", "spec"],
                    "properties": properties,
                }},
            }],
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(crd: &CustomResourceDefinition) -> Value {
        let value = serde_json::to_value(crd).expect("JSON");
        value["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
    }

    fn at<'a>(schema: &'a Value, path: &str) -> &'a Value {
        path.split('.').fold(schema, |schema, step| match step {
            "[]" => &schema["items"],
            name => &schema["properties"][name],
        })
    }

    /// Calls `check` for every schema with its path.
    fn walk(schema: &Value, path: &str, check: &mut impl FnMut(&str, &Value)) {
        check(path, schema);
        for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
            walk(inner, &format!("{path}.{name}"), check);
        }
        for keyword in ["items", "additionalProperties"] {
            if schema[keyword].is_object() {
                walk(&schema[keyword], &format!("{path}.{keyword}"), check);
            }
        }
    }

    #[test]
    fn every_schema_is_structural() {
        for crd in crds() {
            walk(&schema(&crd), "", &mut |path, schema| {
                if schema["x-kubernetes-int-or-string"] == true {
                    return;
                }
                assert!(schema["type"].is_string(), "{path} has no type: {schema}");
                for keyword in ["$ref", "oneOf", "anyOf", "allOf", "default", "nullable"] {
                    assert!(schema.get(keyword).is_none(), "{path} has {keyword}");
                }
            });
        }
    }

    #[test]
    fn required_fields_are_argo_cds() {
        let application = schema(&crds()[0]);
        for (path, required) in [
            ("spec", json!(["destination", "project"])),
            ("spec.source", json!(["repoURL"])),
            ("spec.sources.[]", json!(["repoURL"])),
            ("spec.source.kustomize.replicas.[]", json!(["count", "name"])),
            ("spec.ignoreDifferences.[]", json!(["kind"])),
            ("operation.sync.resources.[]", json!(["kind", "name"])),
            ("status.operationState", json!(["operation", "phase", "startedAt"])),
            ("status.history.[]", json!(["deployedAt", "id"])),
            ("spec.syncPolicy", Value::Null),
        ] {
            let mut found = at(&application, path)["required"].clone();
            if let Some(list) = found.as_array_mut() {
                list.sort_by_key(|name| name.to_string());
            }
            assert_eq!(found, required, "{path}");
        }
    }

    #[test]
    fn free_and_mixed_fields_are_marked() {
        let application = schema(&crds()[0]);
        let values = at(&application, "spec.source.helm.valuesObject");
        assert_eq!(values["x-kubernetes-preserve-unknown-fields"], true);
        let count = at(&application, "spec.source.kustomize.replicas.[].count");
        assert_eq!(count["x-kubernetes-int-or-string"], true);
        let time = at(&application, "status.reconciledAt");
        assert_eq!(time["format"], "date-time");
    }
}

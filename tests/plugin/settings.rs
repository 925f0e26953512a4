//! What the sample makes of settings: files and an environment come in, manifests go out, or the first line that is none.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;
use serde_json::{Value, json};

/// The files that it renders.
const SUFFIX: &str = ".settings";

/// The settings of a folder.
#[derive(Debug, Default)]
pub struct Settings {
    folder: String,
    application: String,
    stage: Option<String>,
    prefix: String,
    labels: BTreeMap<String, String>,
    files: Vec<(String, String)>,
}

/// A parameter of an Application.
#[derive(Deserialize)]
struct Parameter {
    name: String,
    string: Option<String>,
    map: Option<BTreeMap<String, String>>,
}

impl Settings {
    /// None yet, of a folder, with what the Application says.
    pub fn of(folder: String, environment: HashMap<String, String>) -> Result<Self, String> {
        let parameters = environment.get("ARGOCD_APP_PARAMETERS").map_or("null", String::as_str);
        let parameters: Option<Vec<Parameter>> = serde_json::from_str(parameters)
            .map_err(|error| format!("failed to read the parameters: {error}"))?;
        let mut settings = Self {
            folder,
            application: environment.get("ARGOCD_APP_NAME").cloned().unwrap_or_default(),
            stage: environment.get("ARGOCD_ENV_STAGE").cloned(),
            ..Self::default()
        };
        for parameter in parameters.into_iter().flatten() {
            match parameter.name.as_str() {
                "name-prefix" => settings.prefix = parameter.string.unwrap_or_default(),
                "labels" => settings.labels = parameter.map.unwrap_or_default(),
                other => {
                    return Err(format!(
                        "there is no parameter \"{other}\": there are name-prefix and labels"
                    ));
                }
            }
        }
        Ok(settings)
    }

    /// Takes a file, where it is one of the folder's settings.
    pub fn add(&mut self, path: &str, data: &[u8]) {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        if folder == self.folder && name.ends_with(SUFFIX) {
            self.files.push((path.to_owned(), String::from_utf8_lossy(data).into_owned()));
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// A ConfigMap for each file.
    pub fn manifests(&self) -> Result<String, String> {
        let documents =
            self.files.iter().map(|(path, text)| Ok(format!("---\n{}\n", self.manifest(path, text)?)));
        documents.collect()
    }

    fn manifest(&self, path: &str, text: &str) -> Result<Value, String> {
        let mut data: BTreeMap<&str, &str> = BTreeMap::new();
        data.extend(self.stage.as_deref().map(|stage| ("stage", stage)));
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let setting = line.split_once('=').ok_or_else(|| format!("{path}:{}: it has no =", index + 1))?;
            data.insert(setting.0.trim(), setting.1.trim());
        }
        let name = path.rsplit('/').next().unwrap_or(path).trim_end_matches(SUFFIX);
        let mut labels = self.labels.clone();
        labels.insert("settings-of".to_owned(), self.application.clone());
        Ok(json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": format!("{}{name}", self.prefix), "labels": labels},
            "data": data,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(parameters: &str, text: &str) -> Result<Settings, String> {
        let environment = [("ARGOCD_APP_NAME", "shop"), ("ARGOCD_APP_PARAMETERS", parameters)];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut settings = Settings::of("app".to_owned(), environment.into())?;
        settings.add("app/web.settings", text.as_bytes());
        settings.add("app/deep/web.settings", b"not mine");
        settings.add("app/notes.md", b"nor that");
        Ok(settings)
    }

    #[test]
    fn each_file_of_the_folder_becomes_a_config_map() -> Result<(), String> {
        let parameters = r#"[{"name":"name-prefix","string":"x-"},{"name":"labels","map":{"team":"a"}}]"#;
        assert_eq!(
            settings(parameters, "color = blue\n\nsize=1\n")?.manifests()?,
            "---\n{\"apiVersion\":\"v1\",\"data\":{\"color\":\"blue\",\"size\":\"1\"},\"kind\":\"ConfigMap\",\
             \"metadata\":{\"labels\":{\"settings-of\":\"shop\",\"team\":\"a\"},\"name\":\"x-web\"}}\n"
        );
        Ok(())
    }

    #[test]
    fn what_is_no_setting_is_told_with_its_line() -> Result<(), String> {
        assert_eq!(
            settings("null", "a=1\nb")?.manifests(),
            Err("app/web.settings:2: it has no =".to_owned())
        );
        assert!(settings(r#"[{"name":"other"}]"#, "").is_err());
        Ok(())
    }
}

//! Whether a source's parameters are those that its plugin announces: both come in, the first fault goes out.
//! Parameters that are not announced are the plugin's to judge, and so are values.

use ithaca_api::source::PluginParameter;
use ithaca_proto::v1::ParameterAnnouncement;

/// What is wrong with a parameter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParameterError {
    /// It is not there.
    #[error("parameter \"{name}\" is required{about}: give it in spec.source.plugin.parameters")]
    Required {
        /// Its name.
        name: String,
        /// What the plugin says of it.
        about: String,
    },
    /// It has another form.
    #[error("parameter \"{name}\" has to be given as `{form}` in spec.source.plugin.parameters")]
    Form {
        /// Its name.
        name: String,
        /// The form that it should have.
        form: &'static str,
    },
}

/// Checks what is given against what is announced.
pub(super) fn check(
    announced: &[ParameterAnnouncement],
    given: &[PluginParameter],
) -> Result<(), ParameterError> {
    announced.iter().try_for_each(|announcement| {
        let name = &announcement.name;
        let parameter = given.iter().find(|parameter| parameter.name == *name);
        let form = form(&announcement.collection_type);
        let has_form = parameter.map(|parameter| match form {
            Some("string") => parameter.string.is_some(),
            Some("array") => parameter.array.is_some(),
            Some("map") => parameter.map.is_some(),
            _ => true,
        });
        match (has_form, form) {
            (Some(false), Some(form)) => Err(ParameterError::Form { name: name.clone(), form }),
            (None, _) if announcement.required && !has_default(announcement) => {
                Err(ParameterError::Required { name: name.clone(), about: about(announcement) })
            }
            _ => Ok(()),
        }
    })
}

/// The field that holds a value of this type; none of one that is not known.
fn form(collection_type: &str) -> Option<&'static str> {
    match collection_type {
        "" | "string" => Some("string"),
        "array" => Some("array"),
        "map" => Some("map"),
        _ => None,
    }
}

fn has_default(announcement: &ParameterAnnouncement) -> bool {
    announcement.string.is_some() || !announcement.array.is_empty() || !announcement.map.is_empty()
}

fn about(announcement: &ParameterAnnouncement) -> String {
    let words = [announcement.title.as_str(), announcement.tooltip.as_str()];
    let words: Vec<_> = words.into_iter().filter(|words| !words.is_empty()).collect();
    if words.is_empty() { String::new() } else { format!(" ({})", words.join(": ")) }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn announced(name: &str, collection_type: &str, required: bool) -> ParameterAnnouncement {
        ParameterAnnouncement {
            name: name.into(),
            collection_type: collection_type.into(),
            required,
            title: "Region".into(),
            tooltip: "where it runs".into(),
            ..Default::default()
        }
    }

    #[rstest]
    #[case("", true, json!([{"name": "region", "string": ""}]), "")]
    #[case("", false, json!([]), "")]
    #[case(
        "",
        true,
        json!([{"name": "other", "string": "x"}]),
        "parameter \"region\" is required (Region: where it runs): give it in spec.source.plugin.parameters"
    )]
    #[case(
        "array",
        false,
        json!([{"name": "region", "string": "x"}]),
        "parameter \"region\" has to be given as `array` in spec.source.plugin.parameters"
    )]
    #[case("map", true, json!([{"name": "region", "map": {"a": "b"}}]), "")]
    #[case("string", false, json!([{"name": "region", "array": []}]), "parameter \"region\" has to be given as `string` in spec.source.plugin.parameters")]
    #[case("set", false, json!([{"name": "region", "array": []}]), "")]
    fn what_is_announced_is_held_against_what_is_given(
        #[case] collection_type: &str,
        #[case] required: bool,
        #[case] given: Value,
        #[case] fault: &str,
    ) {
        let given: Vec<PluginParameter> = serde_json::from_value(given).expect("parameters");
        let checked = check(&[announced("region", collection_type, required)], &given);
        assert_eq!(checked.err().map(|error| error.to_string()).unwrap_or_default(), fault);
    }

    #[test]
    fn what_has_a_default_need_not_be_given() {
        let announcement =
            ParameterAnnouncement { string: Some(String::new()), ..announced("region", "", true) };
        assert_eq!(check(&[announcement], &[]), Ok(()));
    }
}

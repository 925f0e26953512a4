//! The body of a webhook's requests: a template over the record, or the record as JSON. Pure.

use minijinja::{Environment, UndefinedBehavior, value::Serde};
use serde_json::Value;

use crate::record::Record;

/// The template's name in error messages.
const NAME: &str = "body";

/// What a webhook sends.
pub(crate) struct Body(Option<Environment<'static>>);

/// A template that cannot serve.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("failed to read the template")]
    Syntax(#[source] minijinja::Error),
    #[error("the template uses {0:?}, which no event has")]
    Unknown(String),
    #[error("failed to render the template for {event}")]
    Render {
        event: &'static str,
        #[source]
        source: minijinja::Error,
    },
    #[error(
        "failed to read what the template gives for {event} as JSON, which the Content-Type promises; \
         a value needs the filter `tojson`, without quotes around it"
    )]
    Json {
        event: &'static str,
        #[source]
        source: serde_json::Error,
    },
}

impl Body {
    pub(crate) fn parse(template: Option<String>) -> Result<Self, Error> {
        let Some(template) = template else {
            return Ok(Self(None));
        };
        let mut environment = Environment::new();
        // A field that no event has is a spelling mistake; fields that this event lacks are there and empty.
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.add_template_owned(NAME, template).map_err(Error::Syntax)?;
        Ok(Self(Some(environment)))
    }

    pub(crate) fn render(&self, record: &Record) -> anyhow::Result<String> {
        match &self.0 {
            Some(environment) => Ok(environment.get_template(NAME)?.render(Serde(record))?),
            None => Ok(serde_json::to_string(record)?),
        }
    }

    /// Renders a record of the operator's future, and reads the result as what it is sent as.
    pub(crate) fn check(&self, record: &Record, is_json: bool) -> Result<(), Error> {
        let Some(environment) = &self.0 else {
            return Ok(());
        };
        let event = record.event;
        let failed = |source| Error::Render { event, source };
        let template = environment.get_template(NAME).map_err(failed)?;
        let fields = serde_json::to_value(record).map_err(|source| Error::Json { event, source })?;
        let is_global = |name: &str| environment.globals().any(|(global, _)| global == name);
        let mut used: Vec<String> = template.undeclared_variables(true).into_iter().collect();
        used.sort();
        if let Some(unknown) = used.into_iter().find(|path| !is_global(path) && !has(&fields, path)) {
            return Err(Error::Unknown(unknown));
        }
        let text = template.render(Serde(record)).map_err(failed)?;
        if is_json {
            serde_json::from_str::<Value>(&text).map_err(|source| Error::Json { event, source })?;
        }
        Ok(())
    }
}

/// Whether the fields have what a dotted path names, as far as the path goes through objects.
fn has(fields: &Value, path: &str) -> bool {
    let mut at = fields;
    for name in path.split('.') {
        match at.as_object().map(|object| object.get(name)) {
            Some(Some(inner)) => at = inner,
            Some(None) => return false,
            None => return true,
        }
    }
    true
}

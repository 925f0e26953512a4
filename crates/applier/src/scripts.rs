//! The thread in which scripts run: one for all, made when the first script is asked.
//!
//! What comes in: a script and an object. What goes out: the object's health by that script, or how the script failed.
//! Whoever asks waits without holding anything; nobody else waits.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock, mpsc},
};

use ithaca_api::{annotation::SETTINGS_CONFIG_MAP, customizations::HealthScript};
use serde_json::Value;
use tokio::sync::oneshot;

use crate::{
    health::{self, Health},
    lua::{Failure, Machine},
};

/// What a script says of an object: a health, or that it has none.
pub type Answer = Result<Option<Health>, Fault>;

/// A script that failed on an object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the health script failed: {reason}; mend {key} in ConfigMap {SETTINGS_CONFIG_MAP}")]
pub struct Fault {
    /// Where the script stands.
    pub key: String,
    /// What happened.
    pub reason: String,
}

/// Runs scripts. The thread ends with it.
#[derive(Debug, Default)]
pub struct Scripts {
    thread: OnceLock<Option<mpsc::Sender<Question>>>,
}

/// An answer, or what happened instead.
type Said = Result<Option<Health>, String>;

struct Question {
    script: Arc<HealthScript>,
    live: Value,
    answer: oneshot::Sender<Said>,
}

impl Scripts {
    /// The health of an object by a script.
    pub async fn health(&self, script: &Arc<HealthScript>, live: &Value) -> Answer {
        let said = self.ask(script.clone(), live.clone()).await;
        said.map_err(|reason| Fault { key: script.key.clone(), reason })
    }

    async fn ask(&self, script: Arc<HealthScript>, live: Value) -> Said {
        let gone = || "the thread that runs scripts is gone; restart the applier".to_owned();
        let (answer, answered) = oneshot::channel();
        let thread = self.thread.get_or_init(start).as_ref().ok_or_else(gone)?;
        thread.send(Question { script, live, answer }).map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

fn start() -> Option<mpsc::Sender<Question>> {
    let (questions, asked) = mpsc::channel();
    let thread = std::thread::Builder::new().name("scripts".to_owned()).spawn(move || serve(&asked));
    if let Err(error) = &thread {
        tracing::error!(%error, "failed to start the thread that runs health scripts");
    }
    thread.ok().map(|_| questions)
}

/// Answers until nobody can ask any more.
fn serve(asked: &mpsc::Receiver<Question>) {
    let mut workshop = None;
    while let Ok(Question { script, live, answer }) = asked.recv() {
        // Nobody may listen any more: the question was asked for somebody who is gone.
        let _ = answer.send(judge(&mut workshop, script, &live));
    }
}

/// A machine, and the scripts that it has read.
struct Workshop {
    machine: Machine,
    compiled: HashMap<Arc<HealthScript>, Result<mlua::Function, Failure>>,
}

fn judge(workshop: &mut Option<Workshop>, script: Arc<HealthScript>, live: &Value) -> Said {
    let said = judge_in(workshop, script, live);
    let is_worn = workshop.as_ref().is_some_and(|workshop| workshop.machine.is_worn());
    if is_worn || said.as_ref().is_err_and(Failure::is_exhausting) {
        *workshop = None;
    }
    said.unwrap_or_else(|failure| Err(failure.to_string()))
}

fn judge_in(
    workshop: &mut Option<Workshop>,
    script: Arc<HealthScript>,
    live: &Value,
) -> Result<Said, Failure> {
    let Workshop { machine, compiled } = match workshop {
        Some(workshop) => workshop,
        None => workshop.insert(Workshop { machine: Machine::new()?, compiled: HashMap::new() }),
    };
    let use_open_libs = script.use_open_libs;
    let function = match compiled.get(&script) {
        Some(known) => known,
        None => {
            let function = machine.compile(&script.lua);
            compiled.entry(script).or_insert(function)
        }
    };
    let function = function.as_ref().map_err(Clone::clone)?;
    machine.run(function, use_open_libs, live, |returned| health::script::read(&returned))
}

#[cfg(test)]
mod tests {
    use ithaca_api::HealthStatusCode::{self, Degraded, Healthy, Progressing};
    use serde_json::json;

    use super::*;

    fn script(lua: &str) -> Arc<HealthScript> {
        let key = "resource.customizations.health.example.org_Widget".to_owned();
        Arc::new(HealthScript { key, lua: lua.to_owned(), use_open_libs: true })
    }

    async fn ask(scripts: &Scripts, lua: &str, live: &Value) -> Answer {
        scripts.health(&script(lua), live).await
    }

    fn health(status: HealthStatusCode, message: &str) -> Answer {
        Ok(Some(Health { status, message: message.to_owned() }))
    }

    /// In the manner of the scripts that people have for kinds with conditions.
    const BY_CONDITIONS: &str = r#"
local hs = {}
if obj.status ~= nil and obj.status.conditions ~= nil then
  for i, condition in ipairs(obj.status.conditions) do
    if condition.type == "Ready" then
      hs.message = condition.message
      if condition.status == "True" then hs.status = "Healthy" else hs.status = "Degraded" end
      if string.find(condition.reason or "", "^Wait") then hs.status = "Progressing" end
      return hs
    end
  end
end
hs.status = "Progressing"
hs.message = "Waiting for " .. obj.kind
return hs
"#;

    #[tokio::test]
    async fn a_script_judges() {
        let scripts = Scripts::default();
        let ready = |status, reason| {
            let condition =
                json!({"type": "Ready", "status": status, "reason": reason, "message": "so it is"});
            json!({"kind": "Widget", "status": {"conditions": [{"type": "Other"}, condition]}})
        };
        let cases = [
            (json!({"kind": "Widget"}), Progressing, "Waiting for Widget"),
            (ready("True", Value::Null), Healthy, "so it is"),
            (ready("False", json!("Broken")), Degraded, "so it is"),
            (ready("False", json!("WaitingForIt")), Progressing, "so it is"),
        ];
        for (live, status, message) in cases {
            assert_eq!(ask(&scripts, BY_CONDITIONS, &live).await, health(status, message), "{live}");
        }
    }

    #[tokio::test]
    async fn a_script_may_say_that_there_is_no_health() {
        let scripts = Scripts::default();
        for lua in ["return nil", "return {}", "local hs = {}"] {
            assert_eq!(ask(&scripts, lua, &json!({})).await, Ok(None), "{lua}");
        }
    }

    #[tokio::test]
    async fn a_script_that_fails_says_why_and_the_next_is_none_the_worse() {
        let scripts = Scripts::default();
        let cases = [
            ("while true do end", "does it loop?"),
            ("local t = {} for i = 1, 100 do t[i] = ('x'):rep(1000000) .. i end", "32 MiB"),
            ("return obj.status.phase", "attempt to index field 'status'"),
            ("return return", "unexpected symbol"),
            ("return 'Healthy'", "it returned a string"),
            ("return {status = 'Fine'}", "invalid health status: \"Fine\""),
            ("return {status = 'Healthy', message = {}}", "its message is a table"),
            ("return {message = 'so'}", "it returned no status"),
        ];
        for (lua, word) in cases {
            let fault = ask(&scripts, lua, &json!({})).await.expect_err(lua).to_string();
            for word in [word, "resource.customizations.health.example.org_Widget in ConfigMap argocd-cm"] {
                assert!(fault.contains(word), "{word:?} is not in: {fault}");
            }
            let next = ask(&scripts, "return {status = 'Healthy'}", &json!({})).await;
            assert_eq!(next, health(Healthy, ""), "after {lua}");
        }
    }

    #[test]
    fn nothing_stays_of_a_large_object() {
        let items: Vec<_> = (0..10_000).map(|place| json!({"name": format!("item-{place}")})).collect();
        let mut workshop = None;
        let lua = "return {status = 'Healthy', message = #obj.items}";
        let mut judged = |live: &Value| {
            let answer = judge(&mut workshop, script(lua), live);
            (answer.ok().flatten().map(|health| health.message), workshop.is_some())
        };
        assert_eq!(judged(&json!({"items": []})), (Some("0".to_owned()), true));
        assert_eq!(judged(&json!({"items": items})), (Some("10000".to_owned()), false));
        assert_eq!(judged(&json!({"items": [1]})), (Some("1".to_owned()), true));
    }

    #[tokio::test]
    async fn a_message_may_be_a_number() {
        for (number, text) in [("3", "3"), ("3 / 2", "1.5")] {
            let lua = format!("return {{status = 'Healthy', message = {number}}}");
            assert_eq!(ask(&Scripts::default(), &lua, &json!({})).await, health(Healthy, text));
        }
    }

    #[tokio::test]
    async fn a_message_without_end_is_cut() {
        let lua = "return {status = 'Healthy', message = string.rep('ä', 100000)}";
        assert_eq!(ask(&Scripts::default(), lua, &json!({})).await, health(Healthy, &"ä".repeat(512)));
    }
}

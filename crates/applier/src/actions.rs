//! What people can do to an object by a word: restart a Deployment, or what the installation has scripts for.
//!
//! What comes in: the actions for a kind, and a live object. What goes out: which of them there are now, and what one of
//! them changes. It writes nothing: whoever asks does that, with their own rights.

use ithaca_api::{Customizations, customizations::Action};
use mlua::{Table, Value as LuaValue};
use serde_json::Value;

use crate::lua::{Machine, json};

/// An action that an object has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offered {
    /// Its name.
    pub name: String,
    /// It makes no sense at this moment.
    pub disabled: bool,
}

/// What an action does.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// The object becomes this.
    Change(Value),
    /// This object is made.
    Create(Value),
}

/// Actions that come with Ithaca: for which kinds, when they make sense, and what they do.
const BUILT_IN: [(&[&str], &str, &str, &str); 5] = [
    (
        &["apps/Deployment", "apps/StatefulSet", "apps/DaemonSet"],
        "restart",
        "return true",
        r#"
local metadata = obj.spec.template.metadata or {}
metadata.annotations = metadata.annotations or {}
metadata.annotations["kubectl.kubernetes.io/restartedAt"] = os.date("!%Y-%m-%dT%H:%M:%SZ")
obj.spec.template.metadata = metadata
return obj"#,
    ),
    (&["apps/Deployment"], "pause", "return not obj.spec.paused", "obj.spec.paused = true return obj"),
    (&["apps/Deployment"], "resume", "return obj.spec.paused == true", "obj.spec.paused = nil return obj"),
    (
        &["batch/CronJob", "batch/Job"],
        "suspend",
        "return not obj.spec.suspend",
        "obj.spec.suspend = true return obj",
    ),
    (
        &["batch/CronJob", "batch/Job"],
        "resume",
        "return obj.spec.suspend == true",
        "obj.spec.suspend = false return obj",
    ),
];

/// The actions for one kind.
#[derive(Clone, Debug, Default)]
pub struct Actions {
    discovery: String,
    own: Vec<Action>,
    /// Name, when, and what.
    built_in: Vec<(&'static str, &'static str, &'static str)>,
}

impl Actions {
    /// What the installation has for a kind, and what comes with Ithaca unless it is replaced.
    pub fn of(customizations: &Customizations, group: &str, kind: &str) -> Self {
        let own = customizations.actions(group, kind);
        let name = format!("{group}/{kind}");
        let merged = own.is_none_or(|own| own.merge_built_in);
        let built_in = BUILT_IN.iter().filter(|(kinds, ..)| merged && kinds.contains(&name.as_str()));
        Self {
            discovery: own.map(|own| own.discovery.clone()).unwrap_or_default(),
            own: own.map(|own| own.definitions.clone()).unwrap_or_default(),
            built_in: built_in.map(|(_, name, when, what)| (*name, *when, *what)).collect(),
        }
    }

    /// Whether objects of the kind may have any.
    pub fn is_empty(&self) -> bool {
        self.own.is_empty() && self.built_in.is_empty()
    }

    /// Which actions an object has now, by name. The error says why the installation's script did not tell.
    pub fn offered(&self, object: &Value) -> Result<Vec<Offered>, String> {
        let mut offered = match self.own.is_empty() {
            true => Vec::new(),
            false => run(&self.discovery, object, |returned| discovered(&returned))?,
        };
        offered.retain(|offered| self.own.iter().any(|action| action.name == offered.name));
        for (name, when, _) in &self.built_in {
            if !self.own.iter().any(|action| action.name == *name) {
                let enabled = run(when, object, |returned| Ok(returned.as_boolean() == Some(true)))?;
                offered.push(Offered { name: (*name).to_owned(), disabled: !enabled });
            }
        }
        offered.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(offered)
    }

    /// What an action does to an object. The error says why it does nothing.
    pub fn act(&self, name: &str, object: &Value) -> Result<Vec<Effect>, String> {
        let own = self.own.iter().find(|action| action.name == name).map(|action| action.lua.as_str());
        let built_in = || self.built_in.iter().find(|(known, ..)| *known == name).map(|(.., what)| *what);
        let script = own.or_else(built_in).ok_or_else(|| format!("there is no action {name}"))?;
        run(script, object, |returned| effects(&returned, object))
    }
}

fn run<T>(
    script: &str,
    object: &Value,
    read: impl FnOnce(LuaValue) -> Result<T, String>,
) -> Result<T, String> {
    let machine = Machine::new().map_err(|failure| failure.to_string())?;
    let script = machine.compile(script).map_err(|failure| failure.to_string())?;
    machine.run(&script, false, object, read).map_err(|failure| failure.to_string())?
}

/// `{restart = {}, pause = {disabled = true}}`.
fn discovered(returned: &LuaValue) -> Result<Vec<Offered>, String> {
    let LuaValue::Table(table) = returned else {
        return Err(format!("discovery.lua returned a {}; return a table of actions", returned.type_name()));
    };
    let mut offered = Vec::new();
    for pair in table.pairs::<String, LuaValue>() {
        let (name, about) = pair.map_err(|error| error.to_string())?;
        let disabled = about.as_table().and_then(|about| about.raw_get::<Option<bool>>("disabled").ok());
        offered.push(Offered { name, disabled: disabled.flatten().unwrap_or_default() });
    }
    Ok(offered)
}

/// The object as it becomes, or a list of what happens to which object.
fn effects(returned: &LuaValue, object: &Value) -> Result<Vec<Effect>, String> {
    let LuaValue::Table(table) = returned else {
        return Err(format!("the action returned a {}; return the object", returned.type_name()));
    };
    if table.raw_len() == 0 {
        return Ok(vec![Effect::Change(json::of(returned, Some(object))?)]);
    }
    let listed = table.sequence_values::<Table>();
    listed.map(|listed| effect(&listed.map_err(|error| error.to_string())?, object)).collect()
}

/// `{operation = "create", resource = {…}}`.
fn effect(listed: &Table, object: &Value) -> Result<Effect, String> {
    let field = |name: &str| listed.raw_get::<LuaValue>(name).map_err(|error| error.to_string());
    let (operation, resource) = (field("operation")?, field("resource")?);
    let resource = json::of(&resource, Some(object))?;
    match operation.as_string().map(|operation| operation.to_string_lossy()).as_deref() {
        Some("create") => Ok(Effect::Create(resource)),
        Some("patch") => Ok(Effect::Change(resource)),
        _ => Err("an operation of the action is neither create nor patch".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    fn actions(text: &str, group: &str, kind: &str) -> Actions {
        let key = format!("resource.customizations.actions.{group}_{kind}");
        let data = BTreeMap::from([(key, text.to_owned())]);
        Actions::of(&Customizations::read(&data).0, group, kind)
    }

    fn names(actions: &Actions, object: &Value) -> Vec<(String, bool)> {
        let offered = actions.offered(object).expect("actions");
        offered.into_iter().map(|offered| (offered.name, offered.disabled)).collect()
    }

    const WIDGETS: &str = "
discovery.lua: |
  return {spin = {disabled = obj.spec.spins or false}, copy = {}, unknown = {}}
definitions:
- name: spin
  action.lua: |
    obj.spec.spins = true
    return obj
- name: copy
  action.lua: |
    local copy = {apiVersion = obj.apiVersion, kind = obj.kind, metadata = {name = obj.metadata.name .. '-copy'}}
    return {{operation = 'create', resource = copy}, {operation = 'patch', resource = obj}}
";

    #[test]
    fn the_installations_actions_are_offered_and_done() {
        let actions = actions(WIDGETS, "example.org", "Widget");
        let widget =
            json!({"apiVersion": "example.org/v1", "kind": "Widget", "metadata": {"name": "a"}, "spec": {}});
        assert_eq!(names(&actions, &widget), [("copy".to_owned(), false), ("spin".to_owned(), false)]);
        let mut spinning = widget.clone();
        spinning["spec"]["spins"] = json!(true);
        assert_eq!(names(&actions, &spinning)[1], ("spin".to_owned(), true));
        assert_eq!(actions.act("spin", &widget), Ok(vec![Effect::Change(spinning)]));
        let copy = json!({"apiVersion": "example.org/v1", "kind": "Widget", "metadata": {"name": "a-copy"}});
        assert_eq!(actions.act("copy", &widget), Ok(vec![Effect::Create(copy), Effect::Change(widget)]));
    }

    #[test]
    fn a_deployment_can_be_restarted_unless_the_installation_says_otherwise() {
        let deployment = json!({"spec": {"replicas": 2, "template": {"spec": {"containers": []}}}});
        let built_in = Actions::of(&Customizations::default(), "apps", "Deployment");
        let expected = [("pause", false), ("restart", false), ("resume", true)];
        assert_eq!(
            names(&built_in, &deployment),
            expected.map(|(name, disabled)| (name.to_owned(), disabled))
        );
        let changed = built_in.act("restart", &deployment).expect("an effect");
        let [Effect::Change(changed)] = &changed[..] else { return assert_eq!(changed, []) };
        let annotations = &changed["spec"]["template"]["metadata"]["annotations"];
        assert!(annotations["kubectl.kubernetes.io/restartedAt"].is_string(), "{changed}");
        assert_eq!(changed["spec"]["template"]["spec"], deployment["spec"]["template"]["spec"]);
        let text = "discovery.lua: return {go = {}}\ndefinitions: [{name: go, action.lua: return obj}]\n";
        assert_eq!(names(&actions(text, "apps", "Deployment"), &deployment), [("go".to_owned(), false)]);
        let merged = format!("{text}mergeBuiltinActions: true\n");
        assert_eq!(names(&actions(&merged, "apps", "Deployment"), &deployment).len(), 4);
    }

    #[test]
    fn a_script_that_fails_says_why() {
        let looping = "discovery.lua: while true do end\ndefinitions: [{name: go, action.lua: return 1}]\n";
        let actions = actions(looping, "example.org", "Widget");
        let told = actions.offered(&json!({})).expect_err("it loops");
        assert!(told.contains("does it loop?"), "{told}");
        let told = actions.act("go", &json!({})).expect_err("a number");
        assert!(told.contains("returned a"), "{told}");
        let told = actions.act("stop", &json!({})).expect_err("unknown");
        assert_eq!(told, "there is no action stop");
    }
}

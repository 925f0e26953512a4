//! The evaluation of Jsonnet files, in a process of its own: files on disk and variables come in, JSON texts go out.
//!
//! Imports are looked up below the root alone, whatever they are written as. Time and memory are for whoever runs it.

use std::collections::HashMap;
use std::path::PathBuf;

use ithaca_api::source::JsonnetVariable;
use rsjsonnet_lang::arena::Arena;
use rsjsonnet_lang::interner::InternedStr;
use rsjsonnet_lang::program::{
    Callbacks, EvalStackTraceItem, ImportError, NativeError, Program, Thunk, Value,
};
use rsjsonnet_lang::span::{SourceId, SpanContext, SpanId};
use serde::{Deserialize, Serialize};

use super::words;

/// What stands before every program: functions of the standard library that the evaluator lacks, or reads otherwise than
/// the reference does.
const PRELUDE: &str = "local __std = std; local std = __std + { \
    id(x):: x, \
    local list(x) = if __std.isString(x) then __std.stringChars(x) else x, \
    foldl(func, arr, init):: __std.foldl(func, list(arr), init), \
    foldr(func, arr, init):: __std.foldr(func, list(arr), init), \
    base64(input):: __std.base64(if __std.isString(input) then __std.encodeUTF8(input) else input), \
}; ";

/// What to evaluate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// The folder that all paths begin in, and that no import leads out of.
    pub root: PathBuf,
    /// The files, by plain paths.
    pub files: Vec<String>,
    /// Folders in which imports are looked for once they are not beside the file, the first one first.
    pub search: Vec<String>,
    /// External variables; of two with one name the last one counts.
    pub variables: Vec<JsonnetVariable>,
    /// Arguments of files that are functions.
    pub arguments: Vec<JsonnetVariable>,
}

/// The JSON text of each file, in order.
///
/// # Errors
/// When a file cannot be evaluated; the text says which, where and why.
pub fn evaluate(evaluation: &Evaluation) -> Result<Vec<String>, String> {
    let arena = Arena::new();
    let mut program = Program::new(&arena);
    let mut files = Files::new(evaluation);
    let mut known = HashMap::new();
    for variable in &evaluation.variables {
        known.insert(&variable.name, variable);
    }
    for variable in known.values() {
        let thunk = files.variable(&mut program, "external variable", variable)?;
        let name = program.intern_str(&variable.name);
        program.add_ext_var(name, &thunk);
    }
    let mut arguments = HashMap::new();
    for argument in &evaluation.arguments {
        let thunk = files.variable(&mut program, "top-level argument", argument)?;
        arguments.insert(program.intern_str(&argument.name), thunk);
    }
    let arguments: Vec<_> = arguments.into_iter().collect();
    let texts = evaluation.files.iter().map(|file| {
        let evaluated = files.evaluate(&mut program, file, &arguments);
        evaluated.map_err(|reason| format!("failed to evaluate {file}: {reason}"))
    });
    texts.collect()
}

/// The files that were read.
struct Files<'p, 'e> {
    evaluation: &'e Evaluation,
    thunks: HashMap<String, Thunk<'p>>,
    /// Names and contents, for errors.
    sources: HashMap<SourceId, (String, Vec<u8>)>,
    /// Why an import failed, which the evaluator does not carry along.
    failed: String,
}

impl<'p, 'e> Files<'p, 'e> {
    fn new(evaluation: &'e Evaluation) -> Self {
        Self { evaluation, thunks: HashMap::new(), sources: HashMap::new(), failed: String::new() }
    }

    fn evaluate(
        &mut self,
        program: &mut Program<'p>,
        file: &str,
        arguments: &[(InternedStr<'p>, Thunk<'p>)],
    ) -> Result<String, String> {
        let thunk = self.open(program, file)?;
        let value = program.eval_value(&thunk, self);
        let mut value = value.map_err(|error| self.explain(program, &error))?;
        if value.is_function() {
            let called = program.eval_call(&thunk, &[], arguments, self);
            value = called.map_err(|error| self.explain(program, &error))?;
        }
        program.manifest_json(&value, false).map_err(|error| self.explain(program, &error))
    }

    fn variable(
        &mut self,
        program: &mut Program<'p>,
        what: &str,
        variable: &JsonnetVariable,
    ) -> Result<Thunk<'p>, String> {
        let JsonnetVariable { name, value, code } = variable;
        if !code {
            return Ok(program.value_to_thunk(&Value::string(value)));
        }
        let label = format!("the {what} \"{name}\"");
        self.load(program, &label, value.as_bytes().to_vec())
    }

    fn open(&mut self, program: &mut Program<'p>, path: &str) -> Result<Thunk<'p>, String> {
        if let Some(thunk) = self.thunks.get(path) {
            return Ok(thunk.clone());
        }
        let data = self.read(path)?;
        let thunk = self.load(program, path, data)?;
        self.thunks.insert(path.to_owned(), thunk.clone());
        Ok(thunk)
    }

    fn load(&mut self, program: &mut Program<'p>, name: &str, data: Vec<u8>) -> Result<Thunk<'p>, String> {
        let text = [PRELUDE.as_bytes(), &data].concat();
        let (context, source) = program.span_manager_mut().insert_source_context(text.len());
        let loaded = program.load_source(context, &text, true, name);
        self.sources.insert(source, (name.to_owned(), data));
        loaded.map_err(|error| {
            let (span, reason) = words::of_load(&error);
            format!("{reason}{}", self.place(program, span))
        })
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        std::fs::read(self.evaluation.root.join(path)).map_err(|error| error.to_string())
    }

    /// Where an import leads: beside the file that has it, then through the folders to search.
    fn find(&self, program: &Program<'p>, from: SpanId, path: &str) -> Result<String, String> {
        let (context, ..) = program.span_manager().get_span(from);
        let SpanContext::Source(source) = program.span_manager().get_context(context);
        let file = self.sources.get(source).map(|(name, _)| name.as_str());
        // What is no file is beside nothing.
        let beside = file.filter(|file| self.thunks.contains_key(*file) || self.is_file(file));
        let beside = beside.map(|file| file.rsplit_once('/').map_or("", |(folder, _)| folder));
        let folders = beside.into_iter().chain(self.evaluation.search.iter().map(String::as_str));
        let mut found = folders.filter_map(|folder| join(folder, path));
        found.find(|path| self.is_file(path)).ok_or_else(|| "it is not in the repository".to_owned())
    }

    fn is_file(&self, path: &str) -> bool {
        self.evaluation.root.join(path).is_file()
    }

    fn explain(&self, program: &Program<'p>, error: &rsjsonnet_lang::program::EvalError) -> String {
        let reason = words::of_evaluation(&error.kind, &self.failed);
        let own = |span: &SpanId| !self.place(program, Some(*span)).is_empty();
        let steps = error.stack_trace.iter().rev().filter_map(words::span);
        let span = words::place(&error.kind).into_iter().chain(steps).find(own);
        format!("{reason}{}", self.place(program, span))
    }

    /// ` (file:line:column)`, where that is known.
    fn place(&self, program: &Program<'p>, span: Option<SpanId>) -> String {
        let Some((context, start, _)) = span.map(|span| program.span_manager().get_span(span)) else {
            return String::new();
        };
        let SpanContext::Source(source) = program.span_manager().get_context(context);
        let Some((name, data)) = self.sources.get(source) else { return String::new() };
        let before = &data[..start.saturating_sub(PRELUDE.len()).min(data.len())];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
        format!(" ({name}:{line}:{column})")
    }

    fn import<T>(
        &mut self,
        program: &mut Program<'p>,
        from: SpanId,
        path: &str,
        open: impl FnOnce(&mut Self, &mut Program<'p>, &str) -> Result<T, String>,
    ) -> Result<T, ImportError> {
        let found = self.find(program, from, path);
        found.and_then(|at| open(self, program, &at)).map_err(|reason| {
            self.failed = reason;
            ImportError
        })
    }
}

impl<'p> Callbacks<'p> for Files<'p, '_> {
    fn import(
        &mut self,
        program: &mut Program<'p>,
        from: SpanId,
        path: &str,
    ) -> Result<Thunk<'p>, ImportError> {
        Files::import(self, program, from, path, |files, program, at| files.open(program, at))
    }

    fn import_str(
        &mut self,
        program: &mut Program<'p>,
        from: SpanId,
        path: &str,
    ) -> Result<String, ImportError> {
        let bytes = self.import_bin(program, from, path)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn import_bin(
        &mut self,
        program: &mut Program<'p>,
        from: SpanId,
        path: &str,
    ) -> Result<Vec<u8>, ImportError> {
        Files::import(self, program, from, path, |files, _, at| files.read(at))
    }

    fn trace(&mut self, _program: &mut Program<'p>, _message: &str, _stack: &[EvalStackTraceItem]) {}

    fn native_call(
        &mut self,
        _program: &mut Program<'p>,
        _name: InternedStr<'p>,
        _arguments: &[Value<'p>],
    ) -> Result<Value<'p>, NativeError> {
        Err(NativeError)
    }
}

/// `path` as seen from `folder`; none where it leads out of the root.
fn join(folder: &str, path: &str) -> Option<String> {
    if path.starts_with('/') {
        return None;
    }
    crate::tree::plain(&format!("{folder}/{path}")).ok()
}

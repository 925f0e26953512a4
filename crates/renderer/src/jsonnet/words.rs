//! Errors of the evaluator in words: what it says comes in, what a user reads goes out. Places are added by whoever knows
//! the files.

use rsjsonnet_lang::lexer::LexError;
use rsjsonnet_lang::parser::ParseError;
use rsjsonnet_lang::program::{AnalyzeError, EvalErrorKind, EvalStackTraceItem, LoadError};
use rsjsonnet_lang::span::SpanId;

/// Why a text is no program, and where.
pub fn of_load(error: &LoadError) -> (Option<SpanId>, String) {
    match error {
        LoadError::Lex(error) => (Some(of_lexer(error)), plain(&format!("{error:?}"))),
        LoadError::Parse(ParseError::Expected { span, instead, .. }) => {
            (Some(*span), format!("unexpected {}", plain(&format!("{instead:?}"))))
        }
        LoadError::Analyze(error) => of_analysis(error),
    }
}

fn of_lexer(error: &LexError) -> SpanId {
    match error {
        LexError::InvalidChar { span, .. }
        | LexError::InvalidUtf8 { span, .. }
        | LexError::UnfinishedMultilineComment { span }
        | LexError::LeadingZeroInNumber { span }
        | LexError::MissingFracDigits { span }
        | LexError::MissingExpDigits { span }
        | LexError::MissingDigitAfterUnderscore { span }
        | LexError::ExpOverflow { span }
        | LexError::InvalidEscapeInString { span, .. }
        | LexError::IncompleteUnicodeEscape { span }
        | LexError::InvalidUtf16EscapeSequence { span, .. }
        | LexError::UnfinishedString { span }
        | LexError::MissingLineBreakAfterTextBlockStart { span }
        | LexError::MissingWhitespaceTextBlockStart { span }
        | LexError::InvalidTextBlockTermination { span } => *span,
    }
}

fn of_analysis(error: &AnalyzeError) -> (Option<SpanId>, String) {
    let (span, reason) = match error {
        AnalyzeError::UnknownVariable { span, name } => (span, format!("unknown variable \"{name}\"")),
        AnalyzeError::SelfOutsideObject { self_span: span } => (span, "self outside of an object".to_owned()),
        AnalyzeError::SuperOutsideObject { super_span: span } => {
            (span, "super outside of an object".to_owned())
        }
        AnalyzeError::DollarOutsideObject { dollar_span: span } => {
            (span, "$ outside of an object".to_owned())
        }
        AnalyzeError::RepeatedLocalName { repeated_span: span, name, .. }
        | AnalyzeError::RepeatedFieldName { repeated_span: span, name, .. }
        | AnalyzeError::RepeatedParamName { repeated_span: span, name, .. } => {
            (span, format!("\"{name}\" is there twice"))
        }
        AnalyzeError::PositionalArgAfterNamed { arg_span: span } => {
            (span, "a positional argument after a named one".to_owned())
        }
        AnalyzeError::TextBlockAsImportPath { span } | AnalyzeError::ComputedImportPath { span } => {
            (span, "an import that is not a plain text".to_owned())
        }
    };
    (Some(*span), reason)
}

/// Why a program gives no value; `failed` tells why an import failed.
pub fn of_evaluation(kind: &EvalErrorKind, failed: &str) -> String {
    match kind {
        EvalErrorKind::ExplicitError { message, .. } | EvalErrorKind::Other { message, .. } => {
            message.clone()
        }
        EvalErrorKind::AssertFailed { message: Some(message), .. } => message.clone(),
        EvalErrorKind::AssertFailed { message: None, .. } => "an assertion failed".to_owned(),
        EvalErrorKind::AssertEqualFailed { lhs, rhs } => format!("{lhs} is not equal to {rhs}"),
        EvalErrorKind::ImportFailed { path, .. } => format!("failed to import \"{path}\": {failed}"),
        EvalErrorKind::UnknownExtVar { name } => format!("the external variable \"{name}\" is not set"),
        EvalErrorKind::UnknownObjectField { field_name, .. } => format!("there is no field \"{field_name}\""),
        EvalErrorKind::CallParamNotBound { param_name, .. } => {
            format!("the parameter \"{param_name}\" has no argument")
        }
        EvalErrorKind::UnknownCallParam { param_name, .. } => {
            format!("there is no parameter \"{param_name}\"")
        }
        EvalErrorKind::StackOverflow => "more than 500 calls are within each other".to_owned(),
        EvalErrorKind::ManifestFunction => "a function is no value to be rendered".to_owned(),
        other => plain(&format!("{other:?}")),
    }
}

/// Where it is, as far as the reason tells.
pub fn place(kind: &EvalErrorKind) -> Option<SpanId> {
    match kind {
        EvalErrorKind::ExplicitError { span, .. }
        | EvalErrorKind::AssertFailed { span, .. }
        | EvalErrorKind::ImportFailed { span, .. }
        | EvalErrorKind::UnknownObjectField { span, .. }
        | EvalErrorKind::FieldOfNonObject { span }
        | EvalErrorKind::InvalidIndexedType { span, .. }
        | EvalErrorKind::InvalidUnaryOpType { span, .. }
        | EvalErrorKind::NumericIndexOutOfRange { span, .. }
        | EvalErrorKind::ForSpecValueIsNotArray { span, .. }
        | EvalErrorKind::CondIsNotBool { span, .. } => Some(*span),
        EvalErrorKind::Other { span, .. }
        | EvalErrorKind::InvalidBinaryOpTypes { span, .. }
        | EvalErrorKind::CalleeIsNotFunction { span, .. }
        | EvalErrorKind::TooManyCallArgs { span, .. }
        | EvalErrorKind::NumberOverflow { span }
        | EvalErrorKind::DivByZero { span }
        | EvalErrorKind::CallParamNotBound { span, .. }
        | EvalErrorKind::UnknownCallParam { span, .. } => *span,
        _ => None,
    }
}

/// Where a step of the evaluation is.
pub fn span(item: &EvalStackTraceItem) -> Option<SpanId> {
    match item {
        EvalStackTraceItem::Expr { span }
        | EvalStackTraceItem::Variable { span, .. }
        | EvalStackTraceItem::Import { span } => Some(*span),
        EvalStackTraceItem::Call { span, .. }
        | EvalStackTraceItem::ArrayItem { span, .. }
        | EvalStackTraceItem::ObjectField { span, .. } => *span,
        EvalStackTraceItem::CompareArrayItem { .. }
        | EvalStackTraceItem::CompareObjectField { .. }
        | EvalStackTraceItem::ManifestArrayItem { .. }
        | EvalStackTraceItem::ManifestObjectField { .. } => None,
    }
}

/// `InvalidIndexedType { span: …, got_type: Null }` as `invalid indexed type (got type: Null)`.
fn plain(debug: &str) -> String {
    let (name, fields) = debug.split_once([' ', '(']).unwrap_or((debug, ""));
    let mut words = String::new();
    for character in name.chars() {
        if character.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(character.to_lowercase());
    }
    let fields = fields.trim_matches(|c| matches!(c, ' ' | '{' | '}' | '(' | ')'));
    let is_telling = |field: &&str| !["span", "offset", "len"].iter().any(|name| field.starts_with(name));
    let telling: Vec<_> = fields.split(", ").filter(|field| !field.is_empty()).filter(is_telling).collect();
    if telling.is_empty() { words } else { format!("{words} ({})", telling.join(", ").replace('_', " ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_words_of_its_own_is_told_without_places() {
        let error = "InvalidIndexedType { span: Inline { offset: 3, len: 4 }, got_type: Null }";
        assert_eq!(plain(error), "invalid indexed type (got type: Null)");
        assert_eq!(plain("DivByZero { span: Some(Inline { offset: 3, len: 4 }) }"), "div by zero");
        assert_eq!(plain("InfiniteRecursion"), "infinite recursion");
        assert_eq!(plain("Simple(RightBrace)"), "simple (RightBrace)");
    }
}

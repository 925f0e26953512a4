//! A Jsonnet file reads what it imports, and what that imports in turn: the language has no imports but plain texts.

use std::collections::BTreeSet;

use ithaca_api::source::Jsonnet;
use rsjsonnet_lang::arena::Arena;
use rsjsonnet_lang::interner::StrInterner;
use rsjsonnet_lang::lexer::Lexer;
use rsjsonnet_lang::span::SpanManager;
use rsjsonnet_lang::token::{STokenKind, TokenKind};

use super::error::ReadError;
use super::path;
use super::reader::Reader;
use super::tree::Kind;

/// One import.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Import {
    /// As written.
    path: String,
    /// Whether it is a program itself, and no text or bytes.
    is_program: bool,
}

/// Reads what the programs `files` of the source in `folder` import. False where that cannot be told.
pub(super) fn read(
    reader: &mut Reader<'_>,
    index: usize,
    folder: &str,
    options: &Jsonnet,
    files: impl Iterator<Item = String>,
) -> Result<bool, ReadError> {
    let search = search(folder, options)?;
    let mut programs: Vec<String> = files.collect();
    let mut seen = BTreeSet::new();
    let variables = options.ext_vars.iter().chain(&options.tlas).filter(|variable| variable.code);
    for variable in variables {
        // A variable of the build may become a part of an import.
        let Some(imports) =
            imports(variable.value.as_bytes()).filter(|_| !variable.value.contains("$ARGOCD"))
        else {
            return Ok(false);
        };
        for import in imports {
            programs.extend(follow(reader, index, None, &search, &import)?);
        }
    }
    while let Some(program) = programs.pop() {
        if !seen.insert(program.clone()) {
            continue;
        }
        // A link's imports lie beside the link.
        let (real, _) = reader.read(index, &program)?;
        let text = (reader.files(index).text)(&real);
        let Some(imports) = text.and_then(|text| imports(&text)) else { return Ok(false) };
        for import in imports {
            programs.extend(follow(reader, index, Some(path::parent(&program)), &search, &import)?);
        }
    }
    Ok(true)
}

/// Where imports are looked for that do not lie beside: as the renderer does.
fn search(folder: &str, options: &Jsonnet) -> Result<Vec<String>, ReadError> {
    let library =
        |library: &String| path::join("", library).ok_or_else(|| ReadError::Escape { path: library.clone() });
    let mut search: Vec<String> = options.libs.iter().rev().map(library).collect::<Result<_, _>>()?;
    search.extend([folder.to_owned(), String::new()]);
    Ok(search)
}

/// Reads an import, and every place where it would be found before; gives it where it is a program.
fn follow(
    reader: &mut Reader<'_>,
    index: usize,
    beside: Option<&str>,
    search: &[String],
    import: &Import,
) -> Result<Option<String>, ReadError> {
    if import.path.starts_with('/') {
        return Ok(None);
    }
    for folder in beside.into_iter().chain(search.iter().map(String::as_str)) {
        let Some(at) = path::join(folder, &import.path) else { continue };
        let (_, kind) = reader.read(index, &at)?;
        if matches!(kind, Some(Kind::File | Kind::Executable)) {
            return Ok(import.is_program.then_some(at));
        }
    }
    Ok(None)
}

/// The imports of a program; none where it is none.
fn imports(text: &[u8]) -> Option<Vec<Import>> {
    let (arena, texts, names) = (Arena::new(), Arena::new(), StrInterner::new());
    let mut spans = SpanManager::new();
    let (context, _) = spans.insert_source_context(text.len());
    let tokens = Lexer::new(&arena, &texts, &names, &mut spans, context, text).lex_to_eof(false).ok()?;
    let import = |pair: &[rsjsonnet_lang::token::Token<'_, '_>]| match (pair[0].kind, pair[1].kind) {
        (TokenKind::Simple(keyword), TokenKind::String(path)) => {
            let is_program = keyword == STokenKind::Import;
            let imports = is_program || matches!(keyword, STokenKind::Importstr | STokenKind::Importbin);
            imports.then(|| Import { path: path.to_owned(), is_program })
        }
        _ => None,
    };
    Some(tokens.windows(2).filter_map(import).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_are_words_of_the_language_and_not_of_texts() {
        let text = br#"
            // import 'comment'
            local a = import 'a.libsonnet', b = importstr "b\u002etxt", c = importbin @'c.dat';
            { text: 'import "d"', import_: 1, 'import': importstr 'e', block: |||
                import 'f'
              ||| }"#;
        let found = imports(text).expect("a program");
        let paths: Vec<_> = found.iter().map(|import| (import.path.as_str(), import.is_program)).collect();
        assert_eq!(paths, [("a.libsonnet", true), ("b.txt", false), ("c.dat", false), ("e", false)]);
        assert_eq!(imports(b"'no end"), None);
    }
}

//! What a program's standard error tells a person: all that it said comes in, a few short lines go out.

/// Lines that an error message may have.
const MAX_LINES: usize = 20;

/// Characters that an error message may have: it becomes a part of the Application.
const MAX_LENGTH: usize = 4000;

/// How programs say that they did not get the memory, or the thread, that they wanted.
const OUT_OF_MEMORY: [&str; 5] = [
    "runtime: out of memory",
    "cannot allocate memory",
    "memory allocation of",
    "pthread_create failed",
    "failed to create new OS thread",
];

/// How programs in Go begin to say that they have crashed; what follows is where, in words of their own.
const CRASHES: [&str; 2] = ["fatal error: ", "panic: "];

/// How an item begins in what helm finds wrong with values by their schema, and a list of names in one.
const ITEM: &str = "- at '";
const NAMES: &str = "properties '";

/// The last words, or what a crash was, if anything was said.
pub(super) fn telling(errors: &str) -> Option<String> {
    let lines: Vec<&str> = errors.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    let is_crash = |line: &&&str| CRASHES.iter().any(|crash| line.starts_with(crash));
    if let Some(crash) = lines.iter().find(is_crash) {
        return Some(shortened(crash));
    }
    let lines = in_order(lines.into_iter().map(names_in_order).collect());
    let last = &lines[lines.len().saturating_sub(MAX_LINES)..];
    (!last.is_empty()).then(|| shortened(&last.join("\n")))
}

/// Lines in which items of a list that may come in any order have one: what helm finds wrong with values by their schema
/// comes in another each time. What is below an item stays there.
fn in_order(lines: Vec<String>) -> Vec<String> {
    let mut ordered = Vec::with_capacity(lines.len());
    let mut rest = lines.into_iter().peekable();
    while let Some(line) = rest.next() {
        let Some(depth) = depth_of_item(&line) else {
            ordered.push(line);
            continue;
        };
        let mut items = vec![vec![line]];
        while let Some(next) = rest.next_if(|next| depth_of_item(next).is_some_and(|next| next >= depth)) {
            match items.last_mut() {
                Some(last) if depth_of_item(&next) > Some(depth) => last.push(next),
                _ => items.push(vec![next]),
            }
        }
        for item in &mut items {
            let below = item.split_off(1);
            item.extend(in_order(below));
        }
        items.sort();
        ordered.extend(items.into_iter().flatten());
    }
    ordered
}

/// How far such an item is set in.
fn depth_of_item(line: &str) -> Option<usize> {
    let item = line.trim_start();
    item.starts_with(ITEM).then(|| line.len() - item.len())
}

/// Such an item with the names that it lists in order.
fn names_in_order(line: &str) -> String {
    let listed = || {
        depth_of_item(line)?;
        let (before, listed) = line.split_once(NAMES)?;
        let (listed, after) = listed.rsplit_once('\'')?;
        let mut names: Vec<&str> = listed.split("', '").collect();
        names.sort_unstable();
        Some(format!("{before}{NAMES}{}'{after}", names.join("', '")))
    };
    listed().unwrap_or_else(|| line.to_owned())
}

/// Whether it was memory that was missing.
pub(super) fn is_out_of_memory(errors: &str) -> bool {
    OUT_OF_MEMORY.iter().any(|words| errors.contains(words))
}

/// The begin and the end of a text that is too long: the one tells where, the other why.
fn shortened(text: &str) -> String {
    let length = text.chars().count();
    if length <= MAX_LENGTH {
        return text.to_owned();
    }
    let half = MAX_LENGTH / 2;
    let (begin, end) = (text.chars().take(half), text.chars().skip(length - half));
    begin.chain(" […] ".chars()).chain(end).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_told() {
        let errors: String = (0..30).map(|line| format!("line {line}  \n\n")).collect();
        let told = telling(&errors).expect("words");
        assert_eq!((told.lines().count(), told.lines().next()), (20, Some("line 10")));
        assert_eq!(telling("\n \n"), None);
    }

    #[test]
    fn of_a_crash_only_its_name_is_told() {
        let errors = "runtime: goroutine stack exceeds 1000000000-byte limit\nfatal error: stack overflow\n\ngoroutine 1:\nmain()\n";
        assert_eq!(telling(errors).as_deref(), Some("fatal error: stack overflow"));
        assert!(!is_out_of_memory(errors));
    }

    #[test]
    fn what_a_schema_finds_wrong_is_told_in_one_order() {
        let expected = "Error: in the following chart(s):
web:
- at '': additional properties 'b', 'c', 'e' not allowed
- at '/a': got number, want string
- at '/d': validation failed
  - at '/d/x': 'oneOf' failed, none matched
    - at '/d/x': got number, want boolean
    - at '/d/x': got number, want string
  - at '/d/z': got number, want string
sub:
- at '/b': got number, want string";
        let other = "Error: in the following chart(s):
web:
- at '/d': validation failed
  - at '/d/z': got number, want string
  - at '/d/x': 'oneOf' failed, none matched
    - at '/d/x': got number, want string
    - at '/d/x': got number, want boolean
- at '/a': got number, want string
- at '': additional properties 'e', 'b', 'c' not allowed
sub:
- at '/b': got number, want string";
        assert_eq!(telling(other).as_deref(), Some(expected));
        assert_eq!(telling(expected).as_deref(), Some(expected));
        for odd in ["- at '", "- at '': properties '", "b\n- a\n  - at 'x\n- at 'a"] {
            assert!(telling(odd).is_some_and(|told| told.len() == odd.len()), "{odd}");
        }
    }

    #[test]
    fn missing_memory_is_known_by_many_words() {
        for errors in [
            "runtime: out of memory: cannot allocate 4194304-byte block",
            "runtime/cgo: pthread_create failed: Resource temporarily unavailable",
            "fork: cannot allocate memory",
        ] {
            assert!(is_out_of_memory(errors), "{errors}");
        }
    }

    #[test]
    fn a_long_line_keeps_its_begin_and_its_end() {
        let told = telling(&format!("Error: where {} why", "ü: ".repeat(50_000))).expect("words");
        assert!(told.starts_with("Error: where ü") && told.ends_with("ü:  why"), "{told}");
        assert!(told.contains("[…]") && told.chars().count() < 4100);
    }
}

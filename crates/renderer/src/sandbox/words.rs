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

/// The last words, or what a crash was, if anything was said.
pub(super) fn telling(errors: &str) -> Option<String> {
    let lines: Vec<&str> = errors.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    let is_crash = |line: &&&str| CRASHES.iter().any(|crash| line.starts_with(crash));
    if let Some(crash) = lines.iter().find(is_crash) {
        return Some(shortened(crash));
    }
    let last = &lines[lines.len().saturating_sub(MAX_LINES)..];
    (!last.is_empty()).then(|| shortened(&last.join("\n")))
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

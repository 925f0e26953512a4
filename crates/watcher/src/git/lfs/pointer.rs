//! The text that stands in Git for a file which Git LFS holds. Pure.
//!
//! In: the bytes of a file. Out: what it points at, if it is a pointer. Whether the file's attributes name the filter of
//! Git LFS is not asked: nothing else looks like this.

use std::collections::BTreeMap;

/// No pointer is longer.
pub const LONGEST: usize = 1024;

const VERSIONS: [&str; 2] = ["https://git-lfs.github.com/spec/v1", "https://hawser.github.com/spec/v1"];

/// What a pointer points at.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pointer {
    /// The SHA-256 of the content, in 64 lower-case hexadecimal digits.
    pub oid: String,
    /// Its bytes.
    pub size: u64,
}

impl Pointer {
    /// Reads a pointer. Texts with keys of extensions are none: what those do to a content is not known here.
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        let lines = std::str::from_utf8(text).ok()?.lines();
        let keys: BTreeMap<&str, &str> = lines.map(|line| line.split_once(' ')).collect::<Option<_>>()?;
        let of = |key: &str| keys.get(key).copied();
        if keys.len() != 3 || !VERSIONS.contains(&of("version")?) {
            return None;
        }
        let oid = of("oid")?.strip_prefix("sha256:")?;
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (oid.len() == 64 && oid.bytes().all(is_digit))
            .then_some(Self { oid: oid.to_owned(), size: of("size")?.parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_pointer_is_one() {
        let oid = "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393";
        let good = format!("version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize 12345\n");
        let found = Pointer::parse(good.as_bytes());
        assert_eq!(found, Some(Pointer { oid: oid.to_owned(), size: 12345 }));
        for text in [
            String::new(),
            good.replace("sha256:4", "sha256:../"),
            good.replace("4d7a", "4D7A"),
            good.replace("size 12345", "size -1"),
            good.replace("size 12345\n", ""),
            good.replace("git-lfs.github.com", "example.org"),
            good.replace("oid", "ext-0-case sha256:00\noid"),
            format!("{good}and more\n"),
            format!("{good}{}", " ".repeat(LONGEST)),
            "key: value\n".to_owned(),
        ] {
            assert_eq!(Pointer::parse(text.as_bytes()), None, "{text}");
        }
    }
}

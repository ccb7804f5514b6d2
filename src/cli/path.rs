//! Paths as the Java client judges them before it asks a server (`org.apache.zookeeper.common.PathUtils`), with its
//! words. Knows no server. The server's own judgement, without words, is `proto::path`.

/// Says what is wrong with a path. A sequential node is judged with a number at its end.
pub fn check(path: &str, sequential: bool) -> Result<(), String> {
    if sequential { judge(&format!("{path}1")) } else { judge(path) }
}

fn judge(path: &str) -> Result<(), String> {
    if path.is_empty() {
        return Err("Path length must be > 0".into());
    }
    if !path.starts_with('/') {
        return Err("Path must start with / character".into());
    }
    if path.len() == 1 {
        return Ok(());
    }
    if path.ends_with('/') {
        return Err("Path must not end with / character".into());
    }
    match reason(path) {
        Some(reason) => Err(format!("Invalid path string \"{path}\" caused by {reason}")),
        None => Ok(()),
    }
}

/// Java counts UTF-16 units, so a character above U+FFFF is a surrogate here.
fn reason(path: &str) -> Option<String> {
    const SLASH: u16 = b'/' as u16;
    const DOT: u16 = b'.' as u16;
    let units: Vec<u16> = path.encode_utf16().collect();
    let ends = |at: usize| units.get(at + 1).is_none_or(|next| *next == SLASH);
    for at in 1..units.len() {
        let (unit, last) = (units[at], units[at - 1]);
        let why = match unit {
            0 => "null character not allowed",
            SLASH if last == SLASH => "empty node name specified",
            DOT if last == DOT && units[at - 2] == SLASH && ends(at) => "relative paths not allowed",
            DOT if last == SLASH && ends(at) => "relative paths not allowed",
            0x01..=0x1f | 0x7f..=0x9f | 0xd800..=0xf8ff | 0xfff0..=0xffff => "invalid character",
            _ => continue,
        };
        return Some(format!("{why} @{at}"));
    }
    None
}

/// The path of a child.
pub fn child(parent: &str, name: &str) -> String {
    if parent == "/" { format!("/{name}") } else { format!("{parent}/{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Asked of Java.
    #[test]
    fn the_words_are_those_of_the_original() {
        let rows = [
            ("", "Path length must be > 0"),
            ("a", "Path must start with / character"),
            ("/a/", "Path must not end with / character"),
            ("/a//b", "Invalid path string \"/a//b\" caused by empty node name specified @3"),
            ("/a/./b", "Invalid path string \"/a/./b\" caused by relative paths not allowed @3"),
            ("/a/../b", "Invalid path string \"/a/../b\" caused by relative paths not allowed @4"),
            ("/..", "Invalid path string \"/..\" caused by relative paths not allowed @2"),
            ("/a\u{1}", "Invalid path string \"/a\u{1}\" caused by invalid character @2"),
            ("/é😀", "Invalid path string \"/é😀\" caused by invalid character @2"),
        ];
        for (path, why) in rows {
            assert_eq!(check(path, false), Err(why.to_owned()));
        }
        assert_eq!(check("/a/", true), Ok(()));
        assert_eq!(check("/a/..", true), Ok(()));
        assert_eq!(check("/", false), Ok(()));
    }

    proptest! {
        #[test]
        fn client_and_server_agree(path in "[/.a\u{0}\u{7f}é😀\u{e000}\u{fff0}]{0,8}") {
            prop_assert_eq!(check(&path, false).is_ok(), crate::proto::path::is_valid(&path));
        }
    }
}

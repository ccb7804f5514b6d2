//! A line of the shell as words, as ZooKeeperMain cuts it: blanks separate, a quote at the beginning of a word keeps
//! blanks. Knows no command. Next room: `options`, which sorts the words.

/// The words of a line. A quote that is never closed is dropped.
pub fn split(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = line.trim_start_matches(blank);
    while let Some(first) = rest.chars().next() {
        let (word, after) = match first {
            '"' | '\'' => match rest[1..].split_once(first) {
                Some(inner) => inner,
                None => {
                    rest = &rest[1..];
                    continue;
                }
            },
            _ => rest.split_at(rest.find(blank).unwrap_or(rest.len())),
        };
        words.push(word.to_owned());
        rest = after.trim_start_matches(blank);
    }
    words
}

/// What a regular expression of Java calls `\s`.
fn blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\x0b' | '\x0c' | '\r')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quotes_keep_blanks_at_the_beginning_of_a_word() {
        let rows: [(&str, &[&str]); 12] = [
            ("ls /", &["ls", "/"]),
            ("  ls \t /a  ", &["ls", "/a"]),
            ("create /a \"two words\"", &["create", "/a", "two words"]),
            ("create /a 'it is \"quoted\"'", &["create", "/a", "it is \"quoted\""]),
            ("set /a \"\" x", &["set", "/a", "", "x"]),
            ("set /a x\"y z\"", &["set", "/a", "x\"y", "z\""]),
            ("set /a 'x'y", &["set", "/a", "x", "y"]),
            ("set /a \"open end", &["set", "/a", "open", "end"]),
            ("set /a it's", &["set", "/a", "it's"]),
            ("", &[]),
            (" ", &[]),
            ("\"", &[]),
        ];
        for (line, words) in rows {
            assert_eq!(split(line), words, "{line:?}");
        }
    }

    proptest! {
        #[test]
        fn any_line_has_words(line in "[a \"'é/]{0,20}") {
            split(&line);
        }
    }
}

//! The syntax of zoo.cfg: Java's properties files, with the line number of every key remembered.
//! Knows no key and no meaning; refuses nothing but a broken `\u` escape, as the original. Next room: `load.rs`.
//! Different on purpose: bytes are read as UTF-8 when they are UTF-8, and only otherwise as ISO-8859-1.

use std::collections::HashMap;

use nom::branch::alt;
use nom::bytes::complete::{take_till, take_while, take_while_m_n};
use nom::character::complete::{anychar, char, line_ending, none_of, one_of};
use nom::combinator::{eof, map, map_opt, not, opt, value};
use nom::multi::fold_many0;
use nom::sequence::{pair, preceded, terminated};
use nom::{IResult, Parser};

use super::error::ConfigError;

/// One `key=value` of a file, trimmed as the original trims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    /// The key, escapes resolved.
    pub key: String,
    /// The value, escapes resolved.
    pub value: String,
    /// The line its key begins on, counted from 1.
    pub line: usize,
}

/// What a file says, in the order of its lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties {
    /// The keys that count, each once: of several lines with one key the last.
    pub entries: Vec<Property>,
    /// The lines that a later line has replaced.
    pub replaced: Vec<Property>,
}

impl Properties {
    /// Reads a whole file, with keys and values trimmed.
    pub fn parse(bytes: &[u8]) -> Result<Self, ConfigError> {
        Self::parse_with(bytes, trimmed)
    }

    /// Reads a whole text; blanks behind a value belong to it, as the syntax has it.
    pub fn parse_exact(bytes: &[u8]) -> Result<Self, ConfigError> {
        Self::parse_with(bytes, |text| text)
    }

    fn parse_with(bytes: &[u8], trimmed: fn(&str) -> &str) -> Result<Self, ConfigError> {
        let text = decode(bytes);
        let mut rest = text.as_str();
        let mut line = 1;
        let mut lines = Vec::new();
        while !rest.is_empty() {
            let (after, entry) = alt((map(nothing, |()| None), map(entry, Some))).parse(rest).map_err(|_| {
                // The grammar takes any text but one: a `\u` without four hexadecimal digits.
                ConfigError::new("a \\u must be followed by four hexadecimal digits; write \\\\u for a backslash and u")
                    .at_line(Some(line))
            })?;
            lines.extend(entry.filter(|(key, value)| !(key.is_empty() && value.is_empty())).map(|(key, value)| {
                Property { key: trimmed(&key).to_owned(), value: trimmed(&value).to_owned(), line }
            }));
            line += line_ends(&rest[..rest.len() - after.len()]);
            rest = after;
        }
        Ok(Self::last_of_each(lines))
    }

    /// The line of a key.
    pub fn get(&self, key: &str) -> Option<&Property> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    fn last_of_each(lines: Vec<Property>) -> Self {
        let last: HashMap<String, usize> = lines.iter().map(|entry| (entry.key.clone(), entry.line)).collect();
        let (entries, replaced) = lines.into_iter().partition(|entry| last.get(&entry.key) == Some(&entry.line));
        Self { entries, replaced }
    }
}

/// UTF-8 if it is, else ISO-8859-1, where each byte is a character. A byte order mark is dropped.
pub fn decode(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text).to_owned(),
        Err(_) => bytes.iter().map(|&byte| char::from(byte)).collect(),
    }
}

/// `String.trim`: everything up to the blank goes, also control characters, and no other white space.
fn trimmed(text: &str) -> &str {
    text.trim_matches(|c: char| c <= ' ')
}

fn line_ends(text: &str) -> usize {
    text.matches('\n').count() + text.matches('\r').count() - text.matches("\r\n").count()
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\x0c')
}

fn end_of_line(input: &str) -> IResult<&str, ()> {
    alt((value((), line_ending), value((), char('\r')), value((), eof))).parse(input)
}

/// A line of blanks, or a comment, which has no continuation; and a line begun by nothing but a continuation,
/// because what follows may still be a comment.
fn nothing(input: &str) -> IResult<&str, ()> {
    let comment = value((), pair(one_of("#!"), take_till(|c| c == '\n' || c == '\r')));
    let empty = value((), (opt(comment), end_of_line));
    preceded(take_while(is_blank), alt((continuation, empty))).parse(input)
}

/// A key, its separator and its value, up to the end of the logical line.
fn entry(input: &str) -> IResult<&str, (String, String)> {
    let key = characters(preceded(not(one_of("=: \t\x0c\r\n")), character));
    let mark = opt(terminated(one_of("=:"), blanks));
    let value = characters(preceded(not(one_of("\r\n")), character));
    map((blanks, key, blanks, mark, value, end_of_line), |(_, key, _, _, value, _)| (key, value)).parse(input)
}

/// Blanks within a logical line, which may go on in the next line.
fn blanks(input: &str) -> IResult<&str, ()> {
    fold_many0(alt((value((), one_of(" \t\x0c")), continuation)), || (), |(), ()| ()).parse(input)
}

/// A backslash before the end of a line; the blanks that open the next line do not count.
fn continuation(input: &str) -> IResult<&str, ()> {
    value((), (char('\\'), end_of_line, take_while(is_blank))).parse(input)
}

/// One unit of a key or a value in UTF-16, as escapes are; a continuation is none.
fn character(input: &str) -> IResult<&str, Unit> {
    let plain = map(none_of("\\"), Unit::Char);
    alt((value(Unit::Nothing, continuation), plain, preceded(char('\\'), escape))).parse(input)
}

fn escape(input: &str) -> IResult<&str, Unit> {
    let hexadecimal = take_while_m_n(4, 4, |c: char| c.is_ascii_hexdigit());
    let code = map_opt(preceded(char('u'), hexadecimal), |digits| u16::from_str_radix(digits, 16).ok());
    let control =
        alt((value('\t', char('t')), value('\n', char('n')), value('\r', char('r')), value('\x0c', char('f'))));
    let itself = preceded(not(char('u')), anychar);
    alt((map(code, Unit::Utf16), map(control, Unit::Char), map(itself, Unit::Char))).parse(input)
}

#[derive(Clone, Copy)]
enum Unit {
    Nothing,
    Char(char),
    Utf16(u16),
}

/// Text made of units; two escapes may make one character, half of a pair is a replacement character.
fn characters<'a>(
    unit: impl Parser<&'a str, Output = Unit, Error = nom::error::Error<&'a str>>,
) -> impl Parser<&'a str, Output = String, Error = nom::error::Error<&'a str>> {
    let units = fold_many0(unit, Vec::new, |mut units: Vec<u16>, unit| {
        match unit {
            Unit::Nothing => {}
            Unit::Char(c) => units.extend_from_slice(c.encode_utf16(&mut [0; 2])),
            Unit::Utf16(code) => units.push(code),
        }
        units
    });
    map(units, |units| String::from_utf16_lossy(&units))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pairs(text: &str) -> Vec<(String, String, usize)> {
        let parsed = Properties::parse(text.as_bytes()).unwrap();
        parsed.entries.into_iter().map(|p| (p.key, p.value, p.line)).collect()
    }

    fn one(text: &str) -> (String, String) {
        let mut all = pairs(text);
        assert_eq!(all.len(), 1, "{text:?} gives {all:?}");
        let (key, value, _) = all.remove(0);
        (key, value)
    }

    fn is(text: &str, key: &str, value: &str) {
        assert_eq!(one(text), (key.to_owned(), value.to_owned()), "{text:?}");
    }

    #[test]
    fn separators() {
        for text in
            ["a=b", "a:b", "a b", "a = b", "  a\t:\tb", "a\x0cb", "a =b", "a  b\n", "a=b  ", "a=b\t\r\n", "a=b\r"]
        {
            is(text, "a", "b");
        }
        is("a", "a", "");
        is("a=", "a", "");
        is("a==b", "a", "=b");
        is("a:=5", "a", "=5");
        is("a b=c", "a", "b=c");
        is("server.1=h:1:2;3", "server.1", "h:1:2;3");
        is("=b", "", "b");
        is("a=b#no comment", "a", "b#no comment");
    }

    #[test]
    fn escapes() {
        is(r"a\=b=c", "a=b", "c");
        is(r"a\ b c", "a b", "c");
        is(r"a=\u0041\u00e9", "a", "Aé");
        is(r"a=\ud83d\ude00", "a", "😀");
        is(r"a=x\ud83dy", "a", "x\u{fffd}y");
        is(r"a=x\ty\nz", "a", "x\ty\nz");
        is(r"a=C:\\dir\q", "a", r"C:\dirq");
        is("a=b\\", "a", "b");
        is(r"\#a=b", "#a", "b");
    }

    #[test]
    fn continuations() {
        is("a=1,\\\n   2,\\\r\n\t3", "a", "1,2,3");
        is("a\\\n  b=c", "ab", "c");
        is("a=1\\\n#2", "a", "1#2");
        is("a=1\\\\\n", "a", "1\\");
        is("a \\\n = b", "a", "b");
        assert_eq!(pairs("a=1\\\n\nb=2").len(), 2, "an empty line ends a continuation");
        assert_eq!(pairs("# no \\\na=1"), [("a".into(), "1".into(), 2)], "a comment has no continuation");
        assert!(pairs("\\\n\n").is_empty());
        assert!(pairs("\\\n  # a comment all the same").is_empty());
    }

    #[test]
    fn lines_are_counted_as_an_editor_counts() {
        let text = "# one\r\n! two\n\n  \t\nfive=5\\\n six\rseven=7\n\neight 9";
        let lines: Vec<_> = pairs(text).into_iter().map(|(key, _, line)| (key, line)).collect();
        assert_eq!(lines, [("five".to_owned(), 5), ("seven".to_owned(), 7), ("eight".to_owned(), 9)]);
    }

    #[test]
    fn the_last_of_several_counts() {
        let parsed = Properties::parse(b"a=1\nb=2\na=3\na=4").unwrap();
        assert_eq!(parsed.get("a").map(|p| (p.value.as_str(), p.line)), Some(("4", 4)));
        assert_eq!(parsed.entries.len(), 2);
        assert_eq!(parsed.replaced.iter().map(|p| p.line).collect::<Vec<_>>(), [1, 3]);
    }

    #[test]
    fn bytes_are_utf8_or_latin1() {
        assert_eq!(Properties::parse("a=Zürich".as_bytes()).unwrap().entries[0].value, "Zürich");
        assert_eq!(Properties::parse(b"a=Z\xfcrich").unwrap().entries[0].value, "Zürich");
        assert_eq!(Properties::parse(b"\xef\xbb\xbfa=1").unwrap().entries[0].key, "a");
    }

    #[test]
    fn a_broken_unicode_escape_is_refused_with_its_line() {
        for text in ["x=1\na=\\u00g1", "x=1\n\\u1=2", "x=1\na=\\u12"] {
            assert_eq!(Properties::parse(text.as_bytes()).unwrap_err().line, Some(2), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_end_in_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Properties::parse(&bytes);
        }

        #[test]
        fn hostile_text_ends_in_an_answer(text in "[a\\\\u0=: #!\r\n\t]{0,60}") {
            if let Ok(parsed) = Properties::parse(text.as_bytes()) {
                let lines = line_ends(&text) + 1;
                prop_assert!(parsed.entries.iter().all(|entry| entry.line <= lines));
            }
        }
    }
}

//! Bytes to text, as Java's UTF-8 decoder does it: every malformed sequence becomes U+FFFD, and a three-byte encoded
//! surrogate (which Java's own jute writer makes of characters above U+FFFF) becomes *one* U+FFFD.

use std::borrow::Cow;

/// Decodes leniently; borrows when the bytes are well-formed.
pub fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(replaced(bytes)),
    }
}

fn replaced(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + 8);
    let mut rest = bytes;
    while !rest.is_empty() {
        match std::str::from_utf8(rest) {
            Ok(text) => {
                out.push_str(text);
                break;
            }
            Err(error) => {
                let (good, bad) = rest.split_at(error.valid_up_to());
                out.push_str(&String::from_utf8_lossy(good));
                out.push(char::REPLACEMENT_CHARACTER);
                let skip = match bad {
                    [0xed, 0xa0..=0xbf, 0x80..=0xbf, ..] => 3,
                    [0xed, 0xa0..=0xbf, ..] => 2,
                    _ => error.error_len().unwrap_or(bad.len()),
                };
                rest = &bad[skip..];
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoded_surrogate_is_one_replacement() {
        assert_eq!(lossy(b"a\xed\xa0\xbd\xed\xb8\x80b"), "a\u{fffd}\u{fffd}b");
    }

    /// Asked of Java.
    #[test]
    fn a_torn_surrogate_is_one_replacement() {
        for (bytes, text) in [
            (&b"\xed\xa0AA"[..], "\u{fffd}AA"),
            (b"\xed\xa0\x80\xa0A", "\u{fffd}\u{fffd}A"),
            (b"\xed\xa0\xc2AA", "\u{fffd}\u{fffd}AA"),
            (b"\xed\xa0\xff\xa0A", "\u{fffd}\u{fffd}\u{fffd}A"),
            (b"\xed\xa0", "\u{fffd}"),
            (b"\xedA", "\u{fffd}A"),
        ] {
            assert_eq!(lossy(bytes), text, "{bytes:02x?}");
        }
    }

    #[test]
    fn a_torn_sequence_is_one_replacement() {
        assert_eq!(lossy(b"a\xe2\x82"), "a\u{fffd}");
        assert_eq!(lossy(b"\xff\xfe"), "\u{fffd}\u{fffd}");
    }
}

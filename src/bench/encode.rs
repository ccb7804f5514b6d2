//! Request records written straight into the output buffer, without a path string in between: what makes the generator
//! cheap. Agrees with `proto::records`, which the tests compare it with.

use crate::jute::{Encode, put_bytes, put_text};
use crate::proto::OpCode;
use crate::proto::acl::ALL;

/// Digits of a numbered node's name.
pub const DIGITS: usize = 10;

/// Appends a path of `prefix` and a number of ten digits.
pub fn path(out: &mut Vec<u8>, prefix: &[u8], number: u64) {
    out.extend_from_slice(&((prefix.len() + DIGITS) as u32).to_be_bytes());
    out.extend_from_slice(prefix);
    let mut digits = [b'0'; DIGITS];
    let mut rest = number;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    out.extend_from_slice(&digits);
}

/// The number at the end of such a path.
pub fn number(path: &[u8]) -> Option<u64> {
    let digits = path.last_chunk::<DIGITS>()?;
    digits.iter().try_fold(0, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + u64::from(digit - b'0')))
}

/// getData and its like: opcode, path, watch.
pub fn read(out: &mut Vec<u8>, op: OpCode, prefix: &[u8], number: u64, watch: bool) {
    op.0.encode(out);
    path(out, prefix, number);
    watch.encode(out);
}

/// The record of setData, any version.
pub fn set(out: &mut Vec<u8>, prefix: &[u8], number: u64, data: &[u8]) {
    path(out, prefix, number);
    put_bytes(out, data);
    (-1i32).encode(out);
}

/// The record of create, open to everybody.
pub fn create(out: &mut Vec<u8>, prefix: &[u8], number: u64, data: &[u8], flags: i32) {
    path(out, prefix, number);
    put_bytes(out, data);
    1i32.encode(out);
    ALL.encode(out);
    put_text(out, "world");
    put_text(out, "anyone");
    flags.encode(out);
}

/// The record of delete, any version.
pub fn delete(out: &mut Vec<u8>, prefix: &[u8], number: u64) {
    path(out, prefix, number);
    (-1i32).encode(out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::acl::AclEntry;
    use crate::proto::records::*;
    use std::borrow::Cow;

    fn written(encode: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut out = Vec::new();
        encode(&mut out);
        out
    }

    #[test]
    fn shortcuts_write_the_bytes_of_the_records() {
        let text = Some(Cow::Borrowed("/b/n0000000042"));
        let get = PathWatchRequest { path: text.clone(), watch: true };
        let op = OpCode::GET_DATA.0.to_bytes();
        assert_eq!(written(|out| read(out, OpCode::GET_DATA, b"/b/n", 42, true)), [op, get.to_bytes()].concat());
        let data = Some(&b"xyz"[..]);
        let record = SetDataRequest { path: text.clone(), data, version: -1 };
        assert_eq!(written(|out| set(out, b"/b/n", 42, b"xyz")), record.to_bytes());
        let acl = vec![AclEntry { perms: 31, scheme: Some("world".into()), id: Some("anyone".into()) }];
        let record = CreateRequest { path: text.clone(), data, acl: Some(acl), flags: 1 };
        assert_eq!(written(|out| create(out, b"/b/n", 42, b"xyz", 1)), record.to_bytes());
        let record = PathVersionRequest { path: text, version: -1 };
        assert_eq!(written(|out| delete(out, b"/b/n", 42)), record.to_bytes());
    }

    #[test]
    fn the_number_of_a_path_is_read_back() {
        assert_eq!(number(b"/b/n0000000042"), Some(42));
        assert_eq!(number(b"/b/n00000x0042"), None);
        assert_eq!(number(b"42"), None);
    }
}

//! Jute, ZooKeeper's binary encoding: a cursor to read with, a few primitives, and the [`jute!`](crate::jute) macro that
//! turns one declaration of a record into its codec. Knows nothing of what the records mean; those live in [`crate::proto`].
//!
//! All integers are big-endian and signed. A string or buffer is an `int` length and its bytes, where length -1 is null.
//! A vector is an `int` count and its items, where -1 is a null list and any other negative count reads as an empty one
//! (`org.apache.jute.BinaryInputArchive`).

mod record;
mod text;

pub use record::{Decode, Encode};
pub use text::lossy;

use std::borrow::Cow;

/// A string on the wire; `None` is jute's null.
pub type Text<'a> = Option<Cow<'a, str>>;
/// A byte buffer on the wire, borrowed from the frame; `None` is jute's null, which is not the empty buffer.
pub type Buffer<'a> = Option<&'a [u8]>;
/// A vector; `None` is jute's null list.
pub type List<T> = Option<Vec<T>>;

/// Why bytes are not the record that was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The record wants more bytes than there are.
    #[error("truncated: {wanted} more bytes wanted, {left} left")]
    Truncated {
        /// Bytes the next field needs.
        wanted: usize,
        /// Bytes that are left.
        left: usize,
    },
    /// A length below -1 or above the limit.
    #[error("unreasonable length {0}")]
    Length(i32),
    /// A type number that has no record.
    #[error("unknown type {0}")]
    Type(i32),
    /// A number outside the values its field may have.
    #[error("value {0} is out of range")]
    Value(i64),
}

/// A cursor over encoded bytes. Never reads past the end, never allocates more than the bytes it was given justify.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
    field_max: usize,
}

impl<'a> Reader<'a> {
    /// Reads `bytes`, refusing strings and buffers longer than `field_max` (`jute.maxbuffer` + `jute.maxbuffer.extrasize`).
    pub fn new(bytes: &'a [u8], field_max: usize) -> Self {
        Reader { rest: bytes, field_max }
    }

    /// Reads `bytes` with no limit but their own length.
    pub fn unlimited(bytes: &'a [u8]) -> Self {
        Reader { rest: bytes, field_max: usize::MAX }
    }

    /// What has not been read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// True when every byte was read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `count` bytes.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        match self.rest.split_at_checked(count) {
            Some((head, tail)) => {
                self.rest = tail;
                Ok(head)
            }
            None => Err(DecodeError::Truncated { wanted: count, left: self.rest.len() }),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        match self.rest.split_first_chunk::<N>() {
            Some((head, tail)) => {
                self.rest = tail;
                Ok(*head)
            }
            None => Err(DecodeError::Truncated { wanted: N, left: self.rest.len() }),
        }
    }

    /// One byte.
    pub fn byte(&mut self) -> Result<u8, DecodeError> {
        Ok(self.array::<1>()?[0])
    }

    /// A bool: any byte but 0 is true.
    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        Ok(self.byte()? != 0)
    }

    /// An `int`.
    pub fn int(&mut self) -> Result<i32, DecodeError> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    /// A `long`.
    pub fn long(&mut self) -> Result<i64, DecodeError> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    /// A buffer, borrowed.
    pub fn buffer(&mut self) -> Result<Buffer<'a>, DecodeError> {
        let length = self.int()?;
        match usize::try_from(length) {
            Ok(count) if count <= self.field_max => Ok(Some(self.take(count)?)),
            Err(_) if length == -1 => Ok(None),
            _ => Err(DecodeError::Length(length)),
        }
    }

    /// A string; malformed UTF-8 is read as the Java decoder reads it (see [`lossy`]).
    pub fn text(&mut self) -> Result<Text<'a>, DecodeError> {
        Ok(self.buffer()?.map(lossy))
    }

    /// A vector. The count is not trusted: memory grows only with items that were really there.
    pub fn list<T: Decode<'a>>(&mut self) -> Result<List<T>, DecodeError> {
        let count = self.int()?;
        if count == -1 {
            return Ok(None);
        }
        let mut items = Vec::with_capacity(usize::try_from(count).unwrap_or(0).min(self.rest.len() / 4).min(1024));
        for _ in 0..count.max(0) {
            items.push(T::decode(self)?);
        }
        Ok(Some(items))
    }
}

/// Appends a length or count. Lengths come from frames and files whose own length is an `int`, so they always fit.
pub(crate) fn put_length(out: &mut Vec<u8>, length: usize) {
    let length = i32::try_from(length).expect("jute lengths are bounded by the frame they came in, below 2^31");
    out.extend_from_slice(&length.to_be_bytes());
}

/// Appends a buffer that is not null.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_length(out, bytes.len());
    out.extend_from_slice(bytes);
}

/// Appends a string that is not null, as plain UTF-8.
pub fn put_text(out: &mut Vec<u8>, text: &str) {
    put_bytes(out, text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_and_empty_stay_distinct() {
        let mut out = Vec::new();
        (None as Buffer).encode(&mut out);
        (Some(&b""[..]) as Buffer).encode(&mut out);
        assert_eq!(out, [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
        let mut reader = Reader::unlimited(&out);
        assert_eq!(reader.buffer(), Ok(None));
        assert_eq!(reader.buffer(), Ok(Some(&b""[..])));
    }

    #[test]
    fn lengths_below_minus_one_or_above_the_limit_are_refused() {
        assert_eq!(Reader::new(&(-2i32).to_be_bytes(), 10).buffer(), Err(DecodeError::Length(-2)));
        assert_eq!(Reader::new(&11i32.to_be_bytes(), 10).buffer(), Err(DecodeError::Length(11)));
    }

    #[test]
    fn a_count_of_two_billion_allocates_nothing_and_fails() {
        let bytes = i32::MAX.to_be_bytes();
        assert!(matches!(Reader::unlimited(&bytes).list::<i64>(), Err(DecodeError::Truncated { .. })));
    }

    #[test]
    fn a_negative_count_other_than_minus_one_is_an_empty_list() {
        assert_eq!(Reader::unlimited(&(-7i32).to_be_bytes()).list::<i64>(), Ok(Some(vec![])));
        assert_eq!(Reader::unlimited(&(-1i32).to_be_bytes()).list::<i64>(), Ok(None));
    }

    #[test]
    fn any_byte_but_zero_is_true() {
        assert_eq!(Reader::unlimited(&[7]).bool(), Ok(true));
    }
}

//! The codec traits and the macro that writes them: one declaration gives the struct, both directions and the field
//! list that the schema test compares.

use super::{Buffer, DecodeError, List, Reader, Text, put_bytes, put_length, put_text};

/// Something that can be written as jute.
pub trait Encode {
    /// Appends the encoding to `out`.
    fn encode(&self, out: &mut Vec<u8>);

    /// The encoding as a fresh vector; for tests and cold paths.
    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode(&mut out);
        out
    }
}

/// Something that can be read from jute, borrowing from the bytes where it can.
pub trait Decode<'a>: Sized {
    /// Reads one value.
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError>;
}

macro_rules! number {
    ($($type:ty => $read:ident),*) => {$(
        impl Encode for $type {
            fn encode(&self, out: &mut Vec<u8>) { out.extend_from_slice(&self.to_be_bytes()); }
        }
        impl<'a> Decode<'a> for $type {
            fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> { reader.$read() }
        }
    )*};
}
number!(i32 => int, i64 => long, u8 => byte);

impl Encode for bool {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
}

impl<'a> Decode<'a> for bool {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.bool()
    }
}

impl Encode for Text<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Some(text) => put_text(out, text),
            None => (-1i32).encode(out),
        }
    }
}

impl<'a> Decode<'a> for Text<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.text()
    }
}

impl Encode for Buffer<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Some(bytes) => put_bytes(out, bytes),
            None => (-1i32).encode(out),
        }
    }
}

impl<'a> Decode<'a> for Buffer<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.buffer()
    }
}

impl<T: Encode> Encode for List<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Some(items) => {
                put_length(out, items.len());
                items.iter().for_each(|item| item.encode(out));
            }
            None => (-1i32).encode(out),
        }
    }
}

impl<'a, T: Decode<'a>> Decode<'a> for List<T> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.list()
    }
}

/// Declares jute records. The order of the fields is their order on the wire.
#[macro_export]
macro_rules! jute {
    () => {};
    ($(#[$meta:meta])* pub struct $name:ident<'a> { $($(#[$fmeta:meta])* $field:ident: $type:ty),* $(,)? } $($more:tt)*) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name<'a> { $($(#[$fmeta])* pub $field: $type),* }
        impl $crate::jute::Encode for $name<'_> {
            fn encode(&self, out: &mut Vec<u8>) { $($crate::jute::Encode::encode(&self.$field, out);)* }
        }
        impl<'a> $crate::jute::Decode<'a> for $name<'a> {
            fn decode(reader: &mut $crate::jute::Reader<'a>) -> Result<Self, $crate::jute::DecodeError> {
                Ok($name { $($field: $crate::jute::Decode::decode(reader)?),* })
            }
        }
        impl $name<'_> {
            /// Field names in wire order.
            pub const FIELDS: &'static [&'static str] = &[$(stringify!($field)),*];
        }
        $crate::jute! { $($more)* }
    };
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$fmeta:meta])* $field:ident: $type:ty),* $(,)? } $($more:tt)*) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub struct $name { $($(#[$fmeta])* pub $field: $type),* }
        impl $crate::jute::Encode for $name {
            fn encode(&self, out: &mut Vec<u8>) { $($crate::jute::Encode::encode(&self.$field, out);)* }
        }
        impl<'a> $crate::jute::Decode<'a> for $name {
            fn decode(reader: &mut $crate::jute::Reader<'a>) -> Result<Self, $crate::jute::DecodeError> {
                Ok($name { $($field: $crate::jute::Decode::decode(reader)?),* })
            }
        }
        impl $name {
            /// Field names in wire order.
            pub const FIELDS: &'static [&'static str] = &[$(stringify!($field)),*];
        }
        $crate::jute! { $($more)* }
    };
}

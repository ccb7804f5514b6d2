//! Access control lists: permission bits, identities of a connection, and the one check that decides.
//! What an identity is and how it is proven belongs to the auth room.

use crate::jute::{Decode, DecodeError, Encode, Reader, put_text};
use compact_str::CompactString;

/// Permission to read data and list children.
pub const READ: i32 = 1;
/// Permission to set data.
pub const WRITE: i32 = 2;
/// Permission to create a child.
pub const CREATE: i32 = 4;
/// Permission to delete a child.
pub const DELETE: i32 = 8;
/// Permission to set the ACL.
pub const ADMIN: i32 = 16;
/// All permissions.
pub const ALL: i32 = 31;

/// An identity: of a connection, or the one an ACL entry names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id {
    /// Which provider understands the id: `world`, `digest`, `ip`, ...
    pub scheme: CompactString,
    /// The id in that scheme.
    pub id: CompactString,
}

impl Id {
    /// Names an identity.
    pub fn new(scheme: impl Into<CompactString>, id: impl Into<CompactString>) -> Self {
        Id { scheme: scheme.into(), id: id.into() }
    }
}

/// One entry of a stored list. The bits are kept as sent; nothing validates them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Acl {
    /// Permission bits.
    pub perms: i32,
    /// Who gets them.
    pub id: Id,
}

impl Acl {
    /// An entry.
    pub fn new(perms: i32, scheme: &str, id: &str) -> Self {
        Acl { perms, id: Id::new(scheme, id) }
    }

    /// The list that lets everybody do everything.
    pub fn open_unsafe() -> Vec<Acl> {
        vec![Acl::new(ALL, "world", "anyone")]
    }
}

impl Encode for Acl {
    fn encode(&self, out: &mut Vec<u8>) {
        self.perms.encode(out);
        put_text(out, &self.id.scheme);
        put_text(out, &self.id.id);
    }
}

/// Stored lists never hold nulls; a null in a foreign file reads as the empty string.
impl<'a> Decode<'a> for Acl {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let perms = reader.int()?;
        let scheme = reader.text()?.unwrap_or_default().into();
        let id = reader.text()?.unwrap_or_default().into();
        Ok(Acl { perms, id: Id { scheme, id } })
    }
}

crate::jute! {
    /// An ACL entry as a client sends it, not yet judged.
    pub struct AclEntry<'a> {
        /// Permission bits.
        perms: i32,
        /// Scheme, possibly null.
        scheme: crate::jute::Text<'a>,
        /// Id, possibly null.
        id: crate::jute::Text<'a>,
    }
}

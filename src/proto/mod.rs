//! ZooKeeper's vocabulary: opcodes, error codes, records of the client protocol and of the transaction log, paths, ACLs
//! and session ids. Knows nothing of trees, sockets or files.

pub mod acl;
mod error;
mod opcode;
pub mod owner;
pub mod path;
pub mod records;
#[cfg(test)]
mod schema_tests;
pub mod session;
pub mod txn;
mod zxid;

pub use error::ErrorCode;
pub use opcode::{Class, OpCode};
pub use zxid::Zxid;

/// Default of `jute.maxbuffer`: the longest frame and the base of the field limit, in bytes.
pub const JUTE_MAX_BUFFER: usize = 0xf_ffff;

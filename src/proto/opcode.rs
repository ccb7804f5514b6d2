//! The table of operations (`org.apache.zookeeper.ZooDefs.OpCode`): number, name, class. Dispatch, the four-letter word
//! `cons`, throttling and tests read this table and no other.

use std::fmt;

/// What kind of work an operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Answered from the tree by the server the client is connected to.
    Read,
    /// Becomes a transaction.
    Write,
    /// Concerns the connection alone, answered at once: ping, auth, sasl.
    Connection,
    /// Creates or closes a session.
    Session,
}

use Class::{Connection, Read, Session, Write};

/// An operation. A newtype over the number: unknown ones are answered with Unimplemented, not lost.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct OpCode(pub i32);

macro_rules! opcodes {
    ($($konst:ident = $code:literal, $name:literal, $short:literal, $($class:ident)?;)*) => {
        #[allow(missing_docs)]
        impl OpCode {
            $(pub const $konst: OpCode = OpCode($code);)*

            /// Every operation of the table.
            pub const ALL: &'static [OpCode] = &[$(OpCode($code)),*];

            /// ZooKeeper's name.
            pub fn name(self) -> Option<&'static str> {
                match self.0 { $($code => Some($name),)* _ => None }
            }

            /// The abbreviation that `cons` prints as `lop` (`org.apache.zookeeper.server.Request.op2String`).
            pub fn short_name(self) -> &'static str {
                match self.0 { $($code => $short,)* _ => "UNKN" }
            }

            /// What a *client* asks for with it; `None` for numbers a client must not send.
            pub fn class(self) -> Option<Class> {
                match self.0 { $($($code => Some($class),)?)* _ => None }
            }
        }
    };
}

opcodes! {
    NOTIFICATION = 0, "notification", "NOTI", ;
    CREATE = 1, "create", "CREA", Write;
    DELETE = 2, "delete", "DELE", Write;
    EXISTS = 3, "exists", "EXIS", Read;
    GET_DATA = 4, "getData", "GETD", Read;
    SET_DATA = 5, "setData", "SETD", Write;
    GET_ACL = 6, "getACL", "GETA", Read;
    SET_ACL = 7, "setACL", "SETA", Write;
    GET_CHILDREN = 8, "getChildren", "GETC", Read;
    SYNC = 9, "sync", "SYNC", Read;
    PING = 11, "ping", "PING", Connection;
    GET_CHILDREN2 = 12, "getChildren2", "GETC", Read;
    CHECK = 13, "check", "CHEC", ;
    MULTI = 14, "multi", "MULT", Write;
    CREATE2 = 15, "create2", "CREA", Write;
    RECONFIG = 16, "reconfig", "RECO", Write;
    CHECK_WATCHES = 17, "checkWatches", "CHKW", Read;
    REMOVE_WATCHES = 18, "removeWatches", "REMW", Read;
    CREATE_CONTAINER = 19, "createContainer", "CREA", Write;
    DELETE_CONTAINER = 20, "deleteContainer", "DELE", ;
    CREATE_TTL = 21, "createTTL", "CREA", Write;
    MULTI_READ = 22, "multiRead", "MLTR", Read;
    AUTH = 100, "auth", "AUTH", Connection;
    SET_WATCHES = 101, "setWatches", "SETW", Read;
    SASL = 102, "sasl", "SASL", Connection;
    GET_EPHEMERALS = 103, "getEphemerals", "GETE", Read;
    GET_ALL_CHILDREN_NUMBER = 104, "getAllChildrenNumber", "GETACN", Read;
    SET_WATCHES2 = 105, "setWatches2", "STW2", Read;
    ADD_WATCH = 106, "addWatch", "ADDW", Read;
    WHO_AM_I = 107, "whoAmI", "HOMI", Read;
    // Not of the original, whose servers close the session of who asks it: what the owner field of a node holds, also of
    // containers and TTL nodes, which other replies hide.
    GET_OWNER = 20_001, "getOwner", "GOWN", Read;
    CREATE_SESSION = -10, "createSession", "SESS", ;
    CLOSE_SESSION = -11, "closeSession", "CLOS", Session;
    ERROR = -1, "error", "ERRO", ;
}

impl fmt::Display for OpCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "operation {}", self.0),
        }
    }
}

impl fmt::Debug for OpCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}({})", self.0)
    }
}

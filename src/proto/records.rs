//! Records of the client protocol (`zookeeper.jute`, modules `data` and `proto`), in wire order.

use super::acl::{Acl, AclEntry};
use crate::jute::{Buffer, Decode, DecodeError, Encode, List, Reader, Text};

crate::jute! {
    /// What a client sees of a znode's bookkeeping.
    pub struct Stat {
        /// Creating transaction.
        czxid: i64,
        /// Last transaction that set the data.
        mzxid: i64,
        /// Creation time, ms since the Unix epoch.
        ctime: i64,
        /// Time of the last data change, ms since the Unix epoch.
        mtime: i64,
        /// Number of data changes.
        version: i32,
        /// Number of child changes: twice the creations less the present children.
        cversion: i32,
        /// Number of ACL changes.
        aversion: i32,
        /// Session of an ephemeral node, else 0.
        ephemeral_owner: i64,
        /// Bytes of data.
        data_length: i32,
        /// Direct children.
        num_children: i32,
        /// Last transaction that created or deleted a direct child.
        pzxid: i64,
    }

    /// A znode's bookkeeping as snapshots keep it.
    pub struct StatPersisted {
        /// Creating transaction.
        czxid: i64,
        /// Last transaction that set the data.
        mzxid: i64,
        /// Creation time, ms since the Unix epoch.
        ctime: i64,
        /// Time of the last data change, ms since the Unix epoch.
        mtime: i64,
        /// Number of data changes.
        version: i32,
        /// Number of child creations.
        cversion: i32,
        /// Number of ACL changes.
        aversion: i32,
        /// Session of an ephemeral node, or the mark of a container or TTL node.
        ephemeral_owner: i64,
        /// Last transaction that created or deleted a direct child.
        pzxid: i64,
    }

    /// In front of every request.
    pub struct RequestHeader {
        /// The client's number of the request.
        xid: i32,
        /// Operation.
        op: i32,
    }

    /// In front of every reply.
    pub struct ReplyHeader {
        /// The request's number.
        xid: i32,
        /// The last transaction this server had applied.
        zxid: i64,
        /// Error code.
        err: i32,
    }

    /// In front of every part of a multi.
    pub struct MultiHeader {
        /// Operation, or -1 for an error or the end.
        op: i32,
        /// True for the end marker.
        done: bool,
        /// Error code.
        err: i32,
    }

    /// Asks for a new session, or for an old one back. `readOnly` follows where the client is not ancient.
    pub struct ConnectRequest<'a> {
        /// Ignored.
        protocol_version: i32,
        /// Highest zxid the client has seen.
        last_zxid_seen: i64,
        /// Wanted session timeout, ms.
        timeout_ms: i32,
        /// 0 for a new session.
        session_id: i64,
        /// Password of the session to resume.
        password: Buffer<'a>,
    }

    /// The answer to a connect request, without the trailing `readOnly`.
    pub struct ConnectResponse<'a> {
        /// Always 0.
        protocol_version: i32,
        /// Negotiated timeout, ms; 0 when the session is refused.
        timeout_ms: i32,
        /// The session; 0 when refused.
        session_id: i64,
        /// Its password.
        password: Buffer<'a>,
    }

    /// Authentication by one packet.
    pub struct AuthPacket<'a> {
        /// Ignored.
        kind: i32,
        /// Scheme.
        scheme: Text<'a>,
        /// What proves the identity.
        auth: Buffer<'a>,
    }

    /// create, create2, createContainer.
    pub struct CreateRequest<'a> {
        /// Path, to which a sequence number may be appended.
        path: Text<'a>,
        /// Data; null is kept as null.
        data: Buffer<'a>,
        /// ACL.
        acl: List<AclEntry<'a>>,
        /// Create mode.
        flags: i32,
    }

    /// createTTL.
    pub struct CreateTtlRequest<'a> {
        /// Path.
        path: Text<'a>,
        /// Data.
        data: Buffer<'a>,
        /// ACL.
        acl: List<AclEntry<'a>>,
        /// Create mode.
        flags: i32,
        /// Lifetime after the last change, ms.
        ttl_ms: i64,
    }

    /// Answer to create.
    pub struct CreateResponse<'a> {
        /// The path made.
        path: Text<'a>,
    }

    /// Answer to create2, createContainer and createTTL.
    pub struct Create2Response<'a> {
        /// The path made.
        path: Text<'a>,
        /// Its bookkeeping.
        stat: Stat,
    }

    /// delete, and check inside a multi.
    pub struct PathVersionRequest<'a> {
        /// Path.
        path: Text<'a>,
        /// Expected version, -1 for any.
        version: i32,
    }

    /// exists, getData, getChildren, getChildren2.
    pub struct PathWatchRequest<'a> {
        /// Path.
        path: Text<'a>,
        /// Whether to leave a watch.
        watch: bool,
    }

    /// getACL, sync, getEphemerals, getAllChildrenNumber, deleteContainer.
    pub struct PathRequest<'a> {
        /// Path.
        path: Text<'a>,
    }

    /// setData.
    pub struct SetDataRequest<'a> {
        /// Path.
        path: Text<'a>,
        /// New data.
        data: Buffer<'a>,
        /// Expected version, -1 for any.
        version: i32,
    }

    /// setACL.
    pub struct SetAclRequest<'a> {
        /// Path.
        path: Text<'a>,
        /// New list.
        acl: List<AclEntry<'a>>,
        /// Expected ACL version, -1 for any.
        version: i32,
    }

    /// reconfig.
    pub struct ReconfigRequest<'a> {
        /// Members to add or change.
        joining_servers: Text<'a>,
        /// Members to remove.
        leaving_servers: Text<'a>,
        /// A whole new membership.
        new_members: Text<'a>,
        /// Expected version of the configuration, -1 for any.
        cur_config_id: i64,
    }

    /// Watches of a client that has reconnected.
    pub struct SetWatches<'a> {
        /// The zxid up to which the client has seen everything.
        relative_zxid: i64,
        /// getData watches.
        data_watches: List<Text<'a>>,
        /// exists watches on missing nodes.
        exist_watches: List<Text<'a>>,
        /// getChildren watches.
        child_watches: List<Text<'a>>,
    }

    /// Persistent watches, which follow the fields of SetWatches in setWatches2.
    pub struct SetPersistentWatches<'a> {
        /// Persistent watches.
        persistent_watches: List<Text<'a>>,
        /// Persistent recursive watches.
        persistent_recursive_watches: List<Text<'a>>,
    }

    /// addWatch, checkWatches, removeWatches.
    pub struct PathModeRequest<'a> {
        /// Path.
        path: Text<'a>,
        /// Mode or watcher type.
        mode: i32,
    }

    /// A watch event.
    pub struct WatcherEvent<'a> {
        /// 1 created, 2 deleted, 3 data changed, 4 children changed.
        kind: i32,
        /// Always 3, SyncConnected.
        state: i32,
        /// Path.
        path: Text<'a>,
    }

    /// One identity of a connection, as whoAmI shows it.
    pub struct ClientInfo<'a> {
        /// Scheme.
        auth_scheme: Text<'a>,
        /// User.
        user: Text<'a>,
    }

    /// A sasl token, in both directions.
    pub struct SaslToken<'a> {
        /// Token.
        token: Buffer<'a>,
    }
}

/// Answer to getData.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetDataResponse<'a> {
    /// Data; null stays null.
    pub data: Buffer<'a>,
    /// Bookkeeping.
    pub stat: Stat,
}

impl Encode for GetDataResponse<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.data.encode(out);
        self.stat.encode(out);
    }
}

impl<'a> Decode<'a> for GetDataResponse<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(GetDataResponse { data: reader.buffer()?, stat: Stat::decode(reader)? })
    }
}

/// Answer to getACL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetAclResponse {
    /// The list.
    pub acl: List<Acl>,
    /// Bookkeeping.
    pub stat: Stat,
}

impl Encode for GetAclResponse {
    fn encode(&self, out: &mut Vec<u8>) {
        self.acl.encode(out);
        self.stat.encode(out);
    }
}

impl<'a> Decode<'a> for GetAclResponse {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(GetAclResponse { acl: reader.list()?, stat: Stat::decode(reader)? })
    }
}

/// The end marker of a multi, both ways.
pub const MULTI_END: MultiHeader = MultiHeader { op: -1, done: true, err: -1 };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_is_68_bytes() {
        assert_eq!(Stat::default().to_bytes().len(), 68);
    }

    #[test]
    fn the_end_of_a_multi_is_the_nine_bytes_of_the_original() {
        assert_eq!(MULTI_END.to_bytes(), [0xff, 0xff, 0xff, 0xff, 1, 0xff, 0xff, 0xff, 0xff]);
    }
}

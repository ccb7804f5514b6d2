//! Our records against those of the original: `testdata/schema.txt` holds the fields of each record in wire order and
//! samples as the Java classes write them (`compat-tests/schema/run.sh` asks them). Each sample is read and written
//! again byte for byte, and the names in the file are those of the `jute!` declarations.

use super::acl::{Acl, AclEntry};
use super::records::*;
use super::txn::{CreateTxn, Txn, TxnDigest, TxnHeader};
use super::{OpCode, acl::ALL};
use crate::jute::{Decode, DecodeError, Encode, List, Reader, Text};
use std::collections::BTreeMap;

/// What was read of a sample: the bytes it is written as, and how it looks.
type Trip = Result<(Vec<u8>, String), DecodeError>;

/// One of our records.
struct Ours {
    java: &'static str,
    /// Names of the fields, from the declarations where there are any.
    fields: &'static [&'static [&'static str]],
    trip: fn(&[u8]) -> Trip,
}

/// A record made of `parts`, which follow each other. The fields are those of `jute!`, or names for what is no record.
macro_rules! record {
    ($java:literal, [$($fields:expr),*], $($part:ty),+) => {
        Ours {
            java: $java,
            fields: &[$($fields),*],
            trip: |bytes| {
                let (mut reader, mut written, mut looks) = (Reader::unlimited(bytes), Vec::new(), String::new());
                $(
                    let part: $part = Decode::decode(&mut reader)?;
                    part.encode(&mut written);
                    looks.push_str(&format!("{part:?}"));
                )+
                written.extend_from_slice(reader.rest());
                assert!(reader.is_empty(), "{}: {} bytes are not read", $java, reader.rest().len());
                Ok((written, looks))
            },
        }
    };
    ($java:literal, $part:ident) => { record!($java, [$part::FIELDS], $part) };
}

/// The body of a transaction.
macro_rules! txn {
    ($java:literal, $op:ident, [$($field:literal),*]) => {
        Ours {
            java: $java,
            fields: &[&[$($field),*]],
            trip: |bytes| {
                let mut reader = Reader::unlimited(bytes);
                let (txn, mut written) = (Txn::decode(OpCode::$op, &mut reader)?, Vec::new());
                txn.encode(OpCode::$op, &mut written);
                assert!(reader.is_empty(), "{}: {} bytes are not read", $java, reader.rest().len());
                Ok((written, format!("{txn:?}")))
            },
        }
    };
}

const OURS: &[Ours] = &[
    record!("data.ACL", [&["perms", "id"]], AclEntry),
    record!("data.ClientInfo", ClientInfo),
    record!("data.Id", [&["scheme", "id"]], Text, Text),
    record!("data.Stat", Stat),
    record!("data.StatPersisted", StatPersisted),
    record!("proto.AddWatchRequest", PathModeRequest),
    record!("proto.AuthPacket", AuthPacket),
    record!("proto.CheckVersionRequest", PathVersionRequest),
    record!("proto.CheckWatchesRequest", PathModeRequest),
    record!("proto.ConnectRequest", [ConnectRequest::FIELDS, &["read_only"]], ConnectRequest, bool),
    record!("proto.ConnectResponse", [ConnectResponse::FIELDS, &["read_only"]], ConnectResponse, bool),
    record!("proto.Create2Response", Create2Response),
    record!("proto.CreateRequest", CreateRequest),
    record!("proto.CreateResponse", CreateResponse),
    record!("proto.CreateTTLRequest", CreateTtlRequest),
    record!("proto.DeleteRequest", PathVersionRequest),
    record!("proto.ErrorResponse", [&["err"]], i32),
    record!("proto.ExistsRequest", PathWatchRequest),
    record!("proto.ExistsResponse", [&["stat"]], Stat),
    record!("proto.GetACLRequest", PathRequest),
    record!("proto.GetACLResponse", [&["acl", "stat"]], GetAclResponse),
    record!("proto.GetAllChildrenNumberRequest", PathRequest),
    record!("proto.GetAllChildrenNumberResponse", [&["total_number"]], i32),
    record!("proto.GetChildren2Request", PathWatchRequest),
    record!("proto.GetChildren2Response", [&["children", "stat"]], List<Text>, Stat),
    record!("proto.GetChildrenRequest", PathWatchRequest),
    record!("proto.GetChildrenResponse", [&["children"]], List<Text>),
    record!("proto.GetDataRequest", PathWatchRequest),
    record!("proto.GetDataResponse", [&["data", "stat"]], GetDataResponse),
    record!("proto.GetEphemeralsRequest", PathRequest),
    record!("proto.GetEphemeralsResponse", [&["ephemerals"]], List<Text>),
    record!("proto.GetSASLRequest", SaslToken),
    record!("proto.MultiHeader", MultiHeader),
    record!("proto.ReconfigRequest", ReconfigRequest),
    record!("proto.RemoveWatchesRequest", PathModeRequest),
    record!("proto.ReplyHeader", ReplyHeader),
    record!("proto.RequestHeader", RequestHeader),
    record!("proto.SetACLRequest", SetAclRequest),
    record!("proto.SetACLResponse", [&["stat"]], Stat),
    record!("proto.SetDataRequest", SetDataRequest),
    record!("proto.SetDataResponse", [&["stat"]], Stat),
    record!("proto.SetSASLRequest", SaslToken),
    record!("proto.SetSASLResponse", SaslToken),
    record!("proto.SetWatches", SetWatches),
    record!("proto.SetWatches2", [SetWatches::FIELDS, SetPersistentWatches::FIELDS], SetWatches, SetPersistentWatches),
    record!("proto.SyncRequest", PathRequest),
    record!("proto.SyncResponse", PathRequest),
    record!("proto.WatcherEvent", WatcherEvent),
    record!("proto.WhoAmIResponse", [&["client_info"]], List<ClientInfo>),
    txn!("txn.CheckVersionTxn", CHECK, ["path", "version"]),
    txn!("txn.CloseSessionTxn", CLOSE_SESSION, ["paths2_delete"]),
    txn!("txn.CreateContainerTxn", CREATE_CONTAINER, ["path", "data", "acl", "parent_cversion"]),
    txn!("txn.CreateSessionTxn", CREATE_SESSION, ["timeout_ms"]),
    txn!("txn.CreateTTLTxn", CREATE_TTL, ["path", "data", "acl", "parent_cversion", "ttl_ms"]),
    txn!("txn.CreateTxn", CREATE, ["path", "data", "acl", "ephemeral", "parent_cversion"]),
    txn!("txn.DeleteTxn", DELETE, ["path"]),
    txn!("txn.ErrorTxn", ERROR, ["err"]),
    txn!("txn.SetACLTxn", SET_ACL, ["path", "acl", "version"]),
    txn!("txn.SetDataTxn", SET_DATA, ["path", "data", "version"]),
    record!("txn.TxnDigest", TxnDigest),
    record!("txn.TxnHeader", TxnHeader),
];

/// Records of the original that have no type here, and why.
const ELSEWHERE: &[(&str, &str)] = &[
    ("proto.GetMaxChildrenRequest", "no opcode uses it"),
    ("proto.GetMaxChildrenResponse", "no opcode uses it"),
    ("proto.SetMaxChildrenRequest", "no opcode uses it"),
    ("txn.SetMaxChildrenTxn", "no transaction type uses it"),
    ("txn.CreateTxnV0", "read only, as a CreateTxn that ends early; has a test below"),
    ("txn.MultiTxn", "its samples hold bytes that are no transactions; has a test below"),
    ("txn.Txn", "a part of MultiTxn"),
    ("server.persistence.FileHeader", "sixteen constant bytes; the store room has its tests"),
    ("server.quorum.LearnerInfo", "between servers"),
    ("server.quorum.QuorumPacket", "between servers"),
    ("server.quorum.QuorumAuthPacket", "between servers"),
];

/// Samples that only the Java class can make: no server writes a null list of paths, it leaves the list out.
const NEVER_WRITTEN: &[(&str, &str)] = &[("txn.CloseSessionTxn", "null")];

/// A record as the file describes it.
struct Theirs {
    /// Names and kinds, in wire order.
    fields: Vec<(&'static str, &'static str)>,
    samples: BTreeMap<&'static str, Vec<u8>>,
}

fn theirs() -> BTreeMap<&'static str, Theirs> {
    let mut records: BTreeMap<&str, Theirs> = BTreeMap::new();
    let mut name = "";
    for line in include_str!("testdata/schema.txt").lines().filter(|line| !line.starts_with('#')) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "record" => {
                name = rest;
                records.insert(name, Theirs { fields: vec![], samples: BTreeMap::new() });
            }
            "fields" => {
                let fields = rest.split(' ').map(|field| field.split_once(':').unwrap()).collect();
                records.get_mut(name).unwrap().fields = fields;
            }
            sample => {
                records.get_mut(name).unwrap().samples.insert(sample, bytes(rest));
            }
        }
    }
    records
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// Our name of a field: words apart, units last, and no word that Rust keeps for itself.
fn our_name(record: &str, java: &str) -> String {
    let renamed = match (record, java) {
        ("proto.RequestHeader" | "proto.MultiHeader" | "txn.TxnHeader", "type") => "op",
        ("proto.CheckWatchesRequest" | "proto.RemoveWatchesRequest", "type") => "mode",
        (_, "type") => "kind",
        ("proto.GetEphemeralsRequest", "prefixPath") => "path",
        (_, "timeOut") => "timeout_ms",
        (_, "ttl") => "ttl_ms",
        (_, "time") => "time_ms",
        (_, "passwd") => "password",
        (_, "parentCVersion") => "parent_cversion",
        _ => "",
    };
    if !renamed.is_empty() {
        return renamed.into();
    }
    java.chars().fold(String::new(), |mut name, letter| {
        if letter.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
        name
    })
}

#[test]
fn every_record_of_the_original_is_here_or_said_to_be_elsewhere() {
    let known = OURS.iter().map(|ours| ours.java).chain(ELSEWHERE.iter().map(|(java, _)| *java));
    let known: std::collections::BTreeSet<_> = known.collect();
    assert_eq!(known.len(), OURS.len() + ELSEWHERE.len(), "a record is listed twice");
    assert!(known.iter().eq(theirs().keys()), "the lists here are not the records of schema.txt");
}

#[test]
fn fields_stand_in_the_order_of_the_original() {
    let theirs = theirs();
    for ours in OURS {
        let expected: Vec<_> = theirs[ours.java].fields.iter().map(|(name, _)| our_name(ours.java, name)).collect();
        assert_eq!(ours.fields.concat(), expected, "{}", ours.java);
    }
}

#[test]
fn samples_of_the_original_are_written_again_byte_for_byte() {
    let mut compared = 0;
    for ours in OURS {
        for (sample, bytes) in &theirs()[ours.java].samples {
            if NEVER_WRITTEN.contains(&(ours.java, sample)) {
                continue;
            }
            let (written, _) = (ours.trip)(bytes).unwrap_or_else(|error| panic!("{} {sample}: {error}", ours.java));
            assert_eq!(&written, bytes, "{} {sample}", ours.java);
            compared += 1;
        }
    }
    assert_eq!(compared, 3 * OURS.len() - NEVER_WRITTEN.len());
}

/// Bytes alone do not tell a text from a buffer.
#[test]
fn texts_are_read_as_texts_and_buffers_as_buffers() {
    for (java, theirs) in theirs() {
        let Some(ours) = OURS.iter().find(|ours| ours.java == java) else { continue };
        let (_, looks) = (ours.trip)(&theirs.samples["filled"]).unwrap();
        let count = |kind: &str| theirs.fields.iter().filter(|(_, of)| *of == kind).count();
        // The texts of the samples are /é and a number, the buffers ff, 00 and a number.
        assert!(looks.matches("\"/é").count() >= count("string"), "{java}: {looks}");
        assert_eq!(looks.matches("[255, 0, ").count(), count("buffer"), "{java}: {looks}");
    }
}

#[test]
fn a_create_of_old_logs_has_no_parent_version() {
    for (sample, ephemeral) in [("filled", true), ("extreme", false)] {
        let bytes = &theirs()["txn.CreateTxnV0"].samples[sample];
        let txn = Txn::decode(OpCode::CREATE, &mut Reader::unlimited(bytes)).unwrap();
        let Txn::Create(CreateTxn { kind, parent_cversion, .. }) = txn else { panic!("{txn:?}") };
        assert_eq!((kind == super::txn::CreateKind::Ephemeral, parent_cversion), (ephemeral, -1));
    }
}

/// A multi is a vector of (type, buffer), each buffer the body of a transaction of that type.
#[test]
fn the_parts_of_a_multi_are_framed_as_the_original_frames_them() {
    let theirs = theirs();
    assert_eq!(theirs["txn.MultiTxn"].fields, [("txns", "vector")]);
    assert_eq!(theirs["txn.Txn"].fields, [("type", "int"), ("data", "buffer")]);
    let mut expected = vec![];
    2i32.encode(&mut expected);
    for (op, body) in [(OpCode::CREATE, "txn.CreateTxn"), (OpCode::SET_DATA, "txn.SetDataTxn")] {
        op.0.encode(&mut expected);
        Some(&theirs[body].samples["filled"][..]).encode(&mut expected);
    }
    let txn = Txn::decode(OpCode::MULTI, &mut Reader::unlimited(&expected)).unwrap();
    let mut written = vec![];
    txn.encode(OpCode::MULTI, &mut written);
    assert_eq!(written, expected);
}

#[test]
fn a_stored_acl_is_written_as_it_was_sent() {
    let (sent, stored) = (
        AclEntry { perms: ALL, scheme: Some("world".into()), id: Some("anyone".into()) },
        Acl::new(ALL, "world", "anyone"),
    );
    assert_eq!(sent.to_bytes(), stored.to_bytes());
}

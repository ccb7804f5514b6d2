//! Replies to writes, encoded once where the transaction is applied.

use super::read::{begin_reply, end_reply};
use crate::jute::{Encode, put_text};
use crate::proto::records::{GetDataResponse, MULTI_END, MultiHeader};
use crate::proto::{ErrorCode, OpCode, Zxid};
use crate::tree::Outcome;

/// Appends the reply frame of a write.
pub fn put_write_reply(out: &mut Vec<u8>, xid: i32, zxid: Zxid, op: OpCode, outcome: &Outcome<'_>) {
    let error = match outcome {
        Outcome::Failed(code) => *code,
        _ => ErrorCode::OK,
    };
    let frame = begin_reply(out, xid, zxid.0, error);
    match outcome {
        Outcome::Created { path, stat } => {
            put_text(out, path);
            if op != OpCode::CREATE {
                stat.encode(out);
            }
        }
        Outcome::Set(stat) => stat.encode(out),
        Outcome::Reconfigured { text, stat } => GetDataResponse { data: Some(*text), stat: *stat }.encode(out),
        Outcome::Done | Outcome::Failed(_) => {}
        Outcome::Multi(parts) => {
            parts.iter().for_each(|(op, part)| put_part(out, *op, part));
            MULTI_END.encode(out);
        }
    }
    end_reply(out, frame);
}

fn put_part(out: &mut Vec<u8>, op: OpCode, part: &Outcome<'_>) {
    match part {
        Outcome::Failed(code) => {
            MultiHeader { op: -1, done: false, err: code.0 }.encode(out);
            code.0.encode(out);
        }
        Outcome::Created { path, stat } => {
            // Every create but the first kind answers as create2.
            let shown = if op == OpCode::CREATE { op } else { OpCode::CREATE2 };
            MultiHeader { op: shown.0, done: false, err: 0 }.encode(out);
            put_text(out, path);
            if shown == OpCode::CREATE2 {
                stat.encode(out);
            }
        }
        Outcome::Set(stat) | Outcome::Reconfigured { stat, .. } => {
            MultiHeader { op: op.0, done: false, err: 0 }.encode(out);
            stat.encode(out);
        }
        Outcome::Done | Outcome::Multi(_) => MultiHeader { op: op.0, done: false, err: 0 }.encode(out),
    }
}

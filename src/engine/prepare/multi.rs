//! multi: several writes, one zxid, all or nothing. Decoded whole before anything is judged
//! (`org.apache.zookeeper.MultiOperationRecord`).

use super::create::{Create, Mode};
use super::{Engine, Refusal, Txnal, Undecodable};
use crate::jute::{Decode, DecodeError, Encode, Reader, put_length};
use crate::proto::records::{
    CreateRequest, CreateTtlRequest, MultiHeader, PathVersionRequest, PathWatchRequest, SetDataRequest,
};
use crate::proto::txn::Txn;
use crate::proto::{ErrorCode, OpCode};

enum Part<'a> {
    Create(Create<'a>),
    Delete(PathVersionRequest<'a>),
    SetData(SetDataRequest<'a>),
    Check(PathVersionRequest<'a>),
    /// getData or getChildren: decodable, but not a write.
    Read(PathWatchRequest<'a>),
}

impl Part<'_> {
    fn has_path(&self) -> bool {
        match self {
            Part::Create(create) => create.path.is_some(),
            Part::Delete(request) | Part::Check(request) => request.path.is_some(),
            Part::SetData(request) => request.path.is_some(),
            Part::Read(request) => request.path.is_some(),
        }
    }

    fn op(&self) -> OpCode {
        match self {
            Part::Create(create) => create.op,
            Part::Delete(_) => OpCode::DELETE,
            Part::SetData(_) => OpCode::SET_DATA,
            Part::Check(_) => OpCode::CHECK,
            Part::Read(_) => OpCode::GET_DATA,
        }
    }
}

impl Engine {
    /// A multi that cannot be decoded takes a zxid, unlike any other request, unless it fails over a null list.
    pub(super) fn multi(&mut self, at: &Txnal<'_>, out: &mut Vec<u8>) -> Result<Result<(), Refusal>, Undecodable> {
        let mut reader = Reader::new(at.request.body, at.request.field_max);
        match decode(&mut reader) {
            // Java looks at all paths before it judges the first part, and trips over a null one.
            Ok(parts) if !parts.iter().all(Part::has_path) => Ok(Err(ErrorCode::MARSHALLING_ERROR)),
            Ok(parts) => Ok(self.parts(at, &parts, out)),
            Err(Unfit::Malformed) => Ok(Err(ErrorCode::MARSHALLING_ERROR)),
            Err(Unfit::NullAcl) => Err(Undecodable),
        }
    }

    fn parts(&mut self, at: &Txnal<'_>, parts: &[Part<'_>], out: &mut Vec<u8>) -> Result<(), Refusal> {
        let (digest, start) = (self.digest, out.len());
        self.outstanding.begin();
        put_length(out, parts.len());
        let mut failed = None;
        for part in parts {
            match failed {
                Some(_) => put_error(out, ErrorCode::RUNTIME_INCONSISTENCY),
                None => {
                    let before = out.len();
                    match self.part(at, part, out) {
                        Ok(()) => {}
                        // Java trips over these in its own code and fails the whole request.
                        Err(ErrorCode::MARSHALLING_ERROR) => {
                            out.truncate(start);
                            self.outstanding.take_back();
                            self.digest = digest;
                            return Err(ErrorCode::MARSHALLING_ERROR);
                        }
                        Err(refusal) => {
                            out.truncate(before);
                            put_error(out, refusal);
                            self.outstanding.take_back();
                            self.digest = digest;
                            failed = Some(refusal);
                        }
                    }
                }
            }
        }
        self.outstanding.keep();
        Ok(())
    }

    fn part(&mut self, at: &Txnal<'_>, part: &Part<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
        part.op().0.encode(out);
        let length_at = out.len();
        out.extend_from_slice(&[0; 4]);
        match part {
            Part::Create(create) => self.create(at, create, out),
            Part::Delete(delete) => self.delete(at, delete, out),
            Part::SetData(set) => self.set_data(at, set, out),
            Part::Check(check) => self.check(at, check, out),
            Part::Read(_) => Err(ErrorCode::MARSHALLING_ERROR),
        }?;
        let length = (out.len() - length_at - 4) as u32;
        out[length_at..length_at + 4].copy_from_slice(&length.to_be_bytes());
        Ok(())
    }
}

fn put_error(out: &mut Vec<u8>, error: ErrorCode) {
    OpCode::ERROR.0.encode(out);
    put_length(out, 4);
    Txn::Error { err: error.0 }.encode(OpCode::ERROR, out);
}

/// Why a body is no multi. Java trips over a null list where it does not expect to, before it has taken a zxid.
enum Unfit {
    Malformed,
    NullAcl,
}

impl From<DecodeError> for Unfit {
    fn from(_: DecodeError) -> Self {
        Unfit::Malformed
    }
}

fn decode<'a>(reader: &mut Reader<'a>) -> Result<Vec<Part<'a>>, Unfit> {
    let mut parts: Vec<Part<'a>> = Vec::new();
    loop {
        let header = MultiHeader::decode(reader)?;
        if header.done {
            break;
        }
        let part = match OpCode(header.op) {
            op @ (OpCode::CREATE | OpCode::CREATE2 | OpCode::CREATE_CONTAINER) => {
                Part::Create(retyped(op, CreateRequest::decode(reader)?)?)
            }
            OpCode::CREATE_TTL => Part::Create(retyped_ttl(CreateTtlRequest::decode(reader)?)?),
            OpCode::DELETE => Part::Delete(Decode::decode(reader)?),
            OpCode::SET_DATA => Part::SetData(Decode::decode(reader)?),
            OpCode::CHECK => Part::Check(Decode::decode(reader)?),
            OpCode::GET_DATA | OpCode::GET_CHILDREN => Part::Read(Decode::decode(reader)?),
            op => return Err(DecodeError::Type(op.0).into()),
        };
        // Reads do not mix with writes; what comes behind is not looked at any more (`setOrCheckOpKind`).
        let reads = |part: &Part<'_>| matches!(part, Part::Read(_));
        if parts.first().is_some_and(|first| reads(first) != reads(&part)) {
            return Err(Unfit::Malformed);
        }
        parts.push(part);
    }
    Ok(parts)
}

/// Inside a multi the flags choose the kind: a container flag makes a container of any create.
fn retyped<'a>(op: OpCode, request: CreateRequest<'a>) -> Result<Create<'a>, Unfit> {
    let mode = Mode::from_flag(request.flags).ok_or(Unfit::Malformed)?;
    let acl = request.acl.ok_or(Unfit::NullAcl)?;
    if mode.ttl {
        return Err(Unfit::Malformed);
    }
    let op = if mode.container { OpCode::CREATE_CONTAINER } else { op };
    Ok(Create { op, path: request.path, data: request.data, acl: Some(acl), flags: request.flags, ttl_ms: -1 })
}

/// A TTL create whose flags are not TTL becomes what the flags say, and its lifetime is forgotten.
fn retyped_ttl<'a>(request: CreateTtlRequest<'a>) -> Result<Create<'a>, Unfit> {
    let CreateTtlRequest { path, data, acl, flags, ttl_ms } = request;
    let mode =
        Mode::from_flag(flags).unwrap_or(Mode { ephemeral: false, sequential: false, container: false, ttl: false });
    let (op, ttl_ms) = match mode {
        Mode { ttl: true, .. } => (OpCode::CREATE_TTL, ttl_ms),
        Mode { container: true, .. } => (OpCode::CREATE_CONTAINER, -1),
        _ => (OpCode::CREATE, -1),
    };
    Ok(Create { op, path, data, acl, flags, ttl_ms })
}

/// Whether one of its parts makes an ephemeral node.
pub(super) fn makes_ephemerals(reader: &mut Reader<'_>) -> bool {
    let ephemeral = |part: &Part<'_>| match part {
        Part::Create(create) => Mode::from_flag(create.flags).is_some_and(|mode| mode.ephemeral),
        _ => false,
    };
    decode(reader).is_ok_and(|parts| parts.iter().any(ephemeral))
}

/// Whether a body is a well-formed multi of writes, which a multiRead refuses in its own way.
pub(crate) fn is_multi_of_writes(body: &[u8], field_max: usize) -> bool {
    let parts = decode(&mut Reader::new(body, field_max));
    parts.is_ok_and(|parts| !parts.is_empty() && parts.iter().all(|part| !matches!(part, Part::Read(_))))
}

//! The events of a client's request, from what was asked and what was answered. Requests that cannot be decoded leave
//! no event, as in the original: they never became a transaction.

use super::{Event, Operation, Result};
use crate::jute::{Decode, DecodeError, Reader};
use crate::proto::acl::{self, AclEntry};
use crate::proto::records::{
    CreateRequest, CreateResponse, CreateTtlRequest, MULTI_END, MultiHeader, PathVersionRequest, ReplyHeader,
    SetAclRequest, SetDataRequest, Stat,
};
use crate::proto::session::SessionId;
use crate::proto::{ErrorCode, OpCode};

/// The node of the configuration, which a reconfig writes.
const CONFIG_NODE: &str = "/zookeeper/config";

/// Whether an operation leaves events.
pub fn is_audited(op: OpCode) -> bool {
    matches!(
        op,
        OpCode::CREATE
            | OpCode::CREATE2
            | OpCode::CREATE_CONTAINER
            | OpCode::CREATE_TTL
            | OpCode::DELETE
            | OpCode::SET_DATA
            | OpCode::SET_ACL
            | OpCode::MULTI
            | OpCode::RECONFIG
    )
}

/// A request that has been answered.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Whose.
    pub session: SessionId,
    /// Users of the connection.
    pub user: Option<&'a str>,
    /// Its address.
    pub ip: Option<&'a str>,
    /// Operation.
    pub op: OpCode,
    /// Encoded record.
    pub body: &'a [u8],
    /// Longest string or buffer.
    pub field_max: usize,
}

/// What the log has to say of a request and its reply, a whole frame.
pub fn events(request: &Request<'_>, reply: &[u8]) -> Vec<Event> {
    // A reply is ours; what cannot be read in it was cut by nobody.
    let mut reply = Reader::unlimited(reply.get(4..).unwrap_or_default());
    let Ok(header) = ReplyHeader::decode(&mut reply) else { return Vec::new() };
    let result = if header.err == ErrorCode::OK.0 { Result::Success } else { Result::Failure };
    told(request, result, &mut reply).unwrap_or_default()
}

fn told(request: &Request<'_>, result: Result, reply: &mut Reader<'_>) -> std::result::Result<Vec<Event>, DecodeError> {
    let mut body = Reader::new(request.body, request.field_max);
    let mut event = request.event(Operation::Multi, result);
    match request.op {
        OpCode::CREATE | OpCode::CREATE2 | OpCode::CREATE_CONTAINER | OpCode::CREATE_TTL => {
            let (path, flags) = create(request.op, &mut body)?;
            let Some(kind) = create_mode(flags) else { return Ok(Vec::new()) };
            event.operation = Operation::Create;
            event.znode_type = Some(kind);
            event.znode = match result {
                // With its number, where it got one.
                Result::Success => CreateResponse::decode(reply)?.path.map(Into::into),
                _ => path,
            };
        }
        OpCode::DELETE => {
            event.operation = Operation::Delete;
            event.znode = PathVersionRequest::decode(&mut body)?.path.map(Into::into);
        }
        OpCode::SET_DATA => {
            event.operation = Operation::SetData;
            event.znode = SetDataRequest::decode(&mut body)?.path.map(Into::into);
        }
        OpCode::SET_ACL => {
            let SetAclRequest { path, acl, .. } = SetAclRequest::decode(&mut body)?;
            let Some(acl) = acl else { return Ok(Vec::new()) };
            event.operation = Operation::SetAcl;
            event.znode = path.map(Into::into);
            event.acl = Some(acl.iter().map(shown).collect());
        }
        OpCode::RECONFIG => {
            event.operation = Operation::Reconfig;
            event.znode = (result == Result::Success).then(|| CONFIG_NODE.into());
        }
        OpCode::MULTI if result == Result::Success => return parts(request, &mut body, reply),
        OpCode::MULTI => {}
        _ => return Ok(Vec::new()),
    }
    Ok(vec![event])
}

impl Request<'_> {
    fn event(&self, operation: Operation, result: Result) -> Event {
        Event {
            session: Some(self.session),
            user: self.user.map(Into::into),
            ip: self.ip.map(Into::into),
            ..Event::new(operation, result)
        }
    }
}

/// A multi that succeeded is told by its parts; one of its parts that failed makes it a failed one.
fn parts(
    request: &Request<'_>,
    body: &mut Reader<'_>,
    reply: &mut Reader<'_>,
) -> std::result::Result<Vec<Event>, DecodeError> {
    let mut events = Vec::new();
    loop {
        let asked = MultiHeader::decode(body)?;
        if asked.done {
            return Ok(events);
        }
        let answered = MultiHeader::decode(reply)?;
        if answered.op == MULTI_END.op {
            return Ok(vec![request.event(Operation::Multi, Result::Failure)]);
        }
        let op = OpCode(asked.op);
        let mut event = request.event(Operation::Create, Result::Success);
        match op {
            OpCode::CREATE | OpCode::CREATE2 | OpCode::CREATE_CONTAINER | OpCode::CREATE_TTL => {
                let (path, flags) = create(op, body)?;
                event.znode = CreateResponse::decode(reply)?.path.map(Into::into);
                if answered.op != OpCode::CREATE.0 {
                    Stat::decode(reply)?;
                }
                // The original looks the kind up by the path that was made, and does not look at createTTL.
                if event.znode == path && op != OpCode::CREATE_TTL {
                    event.znode_type = create_mode(flags);
                }
            }
            OpCode::DELETE => {
                event.operation = Operation::Delete;
                event.znode = PathVersionRequest::decode(body)?.path.map(Into::into);
            }
            OpCode::SET_DATA => {
                event.operation = Operation::SetData;
                event.znode = SetDataRequest::decode(body)?.path.map(Into::into);
                Stat::decode(reply)?;
            }
            _ => {
                PathVersionRequest::decode(body)?;
                continue;
            }
        }
        events.push(event);
    }
}

fn create(op: OpCode, body: &mut Reader<'_>) -> std::result::Result<(Option<String>, i32), DecodeError> {
    if op == OpCode::CREATE_TTL {
        let CreateTtlRequest { path, flags, .. } = CreateTtlRequest::decode(body)?;
        return Ok((path.map(Into::into), flags));
    }
    let CreateRequest { path, flags, .. } = CreateRequest::decode(body)?;
    Ok((path.map(Into::into), flags))
}

/// `org.apache.zookeeper.CreateMode`, by its flag and in small letters.
fn create_mode(flags: i32) -> Option<&'static str> {
    Some(match flags {
        0 => "persistent",
        1 => "ephemeral",
        2 => "persistent_sequential",
        3 => "ephemeral_sequential",
        4 => "container",
        5 => "persistent_with_ttl",
        6 => "persistent_sequential_with_ttl",
        _ => return None,
    })
}

/// An entry as `ZKUtil.aclToString` writes it, with nothing between entries.
fn shown(entry: &AclEntry<'_>) -> String {
    let letters = [(acl::CREATE, 'c'), (acl::DELETE, 'd'), (acl::READ, 'r'), (acl::WRITE, 'w'), (acl::ADMIN, 'a')];
    let perms: String = letters.iter().filter(|(bit, _)| entry.perms & bit != 0).map(|(_, letter)| letter).collect();
    let text = |text: &Option<std::borrow::Cow<'_, str>>| text.as_deref().unwrap_or("null").to_owned();
    format!("{}:{}:{perms}", text(&entry.scheme), text(&entry.id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn garbage_makes_no_panic(
            op in prop_oneof![(0..25i32).boxed(), any::<i32>().boxed()],
            body in proptest::collection::vec(any::<u8>(), 0..100),
            reply in proptest::collection::vec(any::<u8>(), 0..100),
        ) {
            let request =
                Request { session: 1, user: None, ip: None, op: OpCode(op), body: &body, field_max: 64 };
            events(&request, &reply);
        }
    }
}

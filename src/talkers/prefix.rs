//! Where in the tree a request works: the path in its record, and the part of it that is counted.

use crate::proto::OpCode;

/// The path of a request, taken from where its record has it; of a multi, the one of its first operation. None for
/// requests without one, and for records that cannot be read.
pub fn path_of(op: OpCode, body: &[u8]) -> Option<&str> {
    std::str::from_utf8(path_bytes(op, body)?).ok()
}

/// The bytes of [`path_of`], which nobody has looked at: from a slash on, they are the client's choice.
pub fn path_bytes(op: OpCode, body: &[u8]) -> Option<&[u8]> {
    let at = match op {
        OpCode::CREATE
        | OpCode::CREATE2
        | OpCode::CREATE_CONTAINER
        | OpCode::CREATE_TTL
        | OpCode::DELETE
        | OpCode::EXISTS
        | OpCode::GET_DATA
        | OpCode::SET_DATA
        | OpCode::GET_ACL
        | OpCode::SET_ACL
        | OpCode::GET_CHILDREN
        | OpCode::GET_CHILDREN2
        | OpCode::GET_ALL_CHILDREN_NUMBER
        | OpCode::GET_EPHEMERALS
        | OpCode::GET_OWNER
        | OpCode::SYNC
        | OpCode::ADD_WATCH
        | OpCode::CHECK_WATCHES
        | OpCode::REMOVE_WATCHES => 0,
        // Type, done and error stand in front of the operation.
        OpCode::MULTI | OpCode::MULTI_READ => 9,
        _ => return None,
    };
    let (length, rest) = body.get(at..)?.split_first_chunk::<4>()?;
    let path = rest.get(..usize::try_from(i32::from_be_bytes(*length)).ok()?)?;
    Some(path).filter(|path| path.starts_with(b"/"))
}

/// Bytes of a prefix at most: names may be as long as a request.
pub const PREFIX_BYTES_MAX: usize = 128;

/// The first `depth` names of a path, but not its last name unless it has no other: the folder in which a request
/// works, so that a folder with a million children is one prefix.
pub fn prefix(path: &str, depth: usize) -> &str {
    let bytes = path.as_bytes();
    let (mut end, mut names) = (0, 0);
    for (at, byte) in bytes.iter().enumerate().skip(1) {
        if *byte == b'/' {
            (end, names) = (at, names + 1);
            if names == depth {
                break;
            }
        }
    }
    let end = if end == 0 { bytes.len() } else { end };
    if end <= PREFIX_BYTES_MAX {
        return &path[..end];
    }
    &path[..(0..=PREFIX_BYTES_MAX).rev().find(|end| path.is_char_boundary(*end)).unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jute::Encode;
    use crate::proto::records::PathRequest;

    #[test]
    fn a_prefix_is_the_folder_in_which_a_request_works() {
        for (path, depth, expected) in [
            ("/", 2, "/"),
            ("/a", 2, "/a"),
            ("/a/b", 2, "/a"),
            ("/a/b/c", 2, "/a/b"),
            ("/a/b/c/d/e", 2, "/a/b"),
            ("/a/b/c/d/e", 1, "/a"),
            ("/a/b/c/d/e", 9, "/a/b/c/d"),
        ] {
            assert_eq!(prefix(path, depth), expected, "{path} to a depth of {depth}");
        }
    }

    #[test]
    fn long_names_are_cut_between_characters() {
        let path = format!("/{}", "ä".repeat(1_000));
        let shown = prefix(&path, 2);
        assert!(shown.len() <= PREFIX_BYTES_MAX && shown.len() > PREFIX_BYTES_MAX - 4, "{}", shown.len());
    }

    #[test]
    fn a_path_is_found_where_its_record_has_it_and_damage_is_no_path() {
        let body = PathRequest { path: Some("/a/b".into()) }.to_bytes();
        assert_eq!(path_of(OpCode::GET_DATA, &body), Some("/a/b"));
        assert_eq!(path_of(OpCode::PING, &body), None);
        let mut multi = 1i32.to_bytes();
        multi.push(0);
        multi.extend((-1i32).to_bytes());
        multi.extend(&body);
        assert_eq!(path_of(OpCode::MULTI, &multi), Some("/a/b"));
        for end in 0..body.len() {
            assert_eq!(path_of(OpCode::GET_DATA, &body[..end]), None, "{end}");
        }
        for bytes in [&[0xff; 4][..], &[0x7f, 0xff, 0xff, 0xff, b'/'], &[0, 0, 0, 1, b'x'], &[0, 0, 0, 2, b'/', 0xff]] {
            assert_eq!(path_of(OpCode::GET_DATA, bytes), None, "{bytes:?}");
        }
    }
}

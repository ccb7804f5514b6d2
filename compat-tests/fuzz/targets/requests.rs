//! Records of the client protocol, of every operation: whatever is accepted is written back and read again alike.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oxkeeper::jute::{Decode, Encode, Reader, Text};
use oxkeeper::proto::records::*;

/// Reads a record, writes it, and reads what was written.
macro_rules! round {
    ($record:ident, $bytes:expr) => {{
        let mut reader = Reader::new($bytes, 1 << 20);
        if let Ok(record) = $record::decode(&mut reader) {
            let written = record.to_bytes();
            // Texts that were not UTF-8 grow: each bad byte becomes three.
            assert!(written.len() <= 3 * ($bytes.len() - reader.rest().len()), "{record:?}");
            let again = $record::decode(&mut Reader::unlimited(&written)).expect("what was written can be read");
            assert_eq!(again.to_bytes(), written);
        }
    }};
}

fuzz_target!(|bytes: &[u8]| {
    let Some((which, body)) = bytes.split_first() else { return };
    match which % 21 {
        0 => round!(RequestHeader, body),
        1 => round!(ReplyHeader, body),
        2 => round!(MultiHeader, body),
        3 => round!(Stat, body),
        4 => round!(ConnectRequest, body),
        5 => round!(ConnectResponse, body),
        6 => round!(AuthPacket, body),
        7 => round!(CreateRequest, body),
        8 => round!(CreateTtlRequest, body),
        9 => round!(PathVersionRequest, body),
        10 => round!(PathWatchRequest, body),
        11 => round!(PathRequest, body),
        12 => round!(SetDataRequest, body),
        13 => round!(SetAclRequest, body),
        14 => round!(ReconfigRequest, body),
        15 => round!(SetWatches, body),
        16 => round!(SetPersistentWatches, body),
        17 => round!(PathModeRequest, body),
        18 => round!(WatcherEvent, body),
        19 => round!(ClientInfo, body),
        _ => {
            let mut reader = Reader::unlimited(body);
            if let Ok(Some(list)) = reader.list::<Text<'_>>() {
                assert!(list.len() <= body.len() / 4);
            }
        }
    }
});

//! A log file: as it comes, or as records with right checksums around arbitrary bodies, replayed into a real tree.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oxkeeper::engine::Replay;
use oxkeeper::proto::Zxid;
use oxkeeper::store::{Dirs, LogOptions, LogReader, LogWriter, ReadOptions, Restore, SimDisk};
use oxkeeper::tree::{OwnerRules, Tree};
use std::path::Path;

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, file)) = bytes.split_first() else { return };
    let disk = SimDisk::new(1);
    let dirs = Dirs::new(Path::new("/data"), None);
    if dirs.open(&disk, true).is_err() {
        return;
    }
    if kind % 2 == 0 {
        disk.install(&dirs.log_path(Zxid(1)), file.to_vec());
    } else {
        let mut log = LogWriter::new(&disk, &dirs, LogOptions { preallocate: 0, ..LogOptions::default() });
        for (number, body) in file.split(|byte| *byte == 0xfe).enumerate() {
            log.append(Zxid(number as i64 + 1), body);
        }
        if log.commit().is_err() {
            return;
        }
    }
    let owners = OwnerRules { extended_types: true, emulate_353: false };
    let mut replay = Replay::new(Tree::new(owners, true));
    replay.clear();
    let options = ReadOptions { accept_damage: kind % 4 > 1, ..ReadOptions::default() };
    let Ok(mut reader) = LogReader::open(&disk, &dirs, Zxid(1), None, options) else { return };
    while let Ok(Some(record)) = reader.next_record() {
        let Ok(decoded) = record.decode() else { break };
        replay.replay(&decoded, record.body);
    }
    assert_eq!(replay.tree.digest(), replay.tree.digest_from_scratch());
});

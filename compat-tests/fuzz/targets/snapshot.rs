//! Snapshots, plain and compressed, into a real tree: an error or a tree whose digest holds, never more memory than bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oxkeeper::engine::Replay;
use oxkeeper::proto::Zxid;
use oxkeeper::store::{Compression, Decompress, Restore, read_snapshot};
use oxkeeper::tree::{OwnerRules, Tree};

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, file)) = bytes.split_first() else { return };
    let compression = [Compression::None, Compression::Gz, Compression::Snappy][usize::from(kind % 3)];
    let owners = OwnerRules { extended_types: true, emulate_353: false };
    let mut replay = Replay::new(Tree::new(owners, true));
    replay.clear();
    if read_snapshot(Decompress::new(file, compression), Zxid(1), &mut replay).is_ok() {
        replay.tree.restore_done();
        assert_eq!(replay.tree.digest(), replay.tree.digest_from_scratch());
    }
});

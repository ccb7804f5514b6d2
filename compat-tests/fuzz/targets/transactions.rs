//! Transaction records, as logs and proposals hold them: whatever is accepted is written back and read again alike.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oxkeeper::proto::OpCode;
use oxkeeper::proto::txn::TxnRecord;

fuzz_target!(|bytes: &[u8]| {
    let Ok(record) = TxnRecord::decode(bytes) else { return };
    let mut written = vec![];
    record.encode(&mut written);
    // The body of a closeSession carries no mark: cut off what stands behind its digest, and the rest may read as paths.
    if record.header.op == OpCode::CLOSE_SESSION.0 && written.len() != bytes.len() {
        return;
    }
    let again = TxnRecord::decode(&written).expect("what was written can be read");
    let mut twice = vec![];
    again.encode(&mut twice);
    assert_eq!(written, twice);
});

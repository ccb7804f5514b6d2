//! ACL lists and auth packets of strangers, judged by a policy that knows every scheme.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oxkeeper::auth::{AuthOutcome, Policy, ip_identity};
use oxkeeper::jute::{Decode, List, Reader};
use oxkeeper::proto::acl::{AclEntry, Id};
use oxkeeper::proto::records::AuthPacket;
use std::net::{IpAddr, Ipv4Addr};

fuzz_target!(|bytes: &[u8]| {
    let policy = Policy { sasl: true, x509: true, ensemble: true, ..Policy::default() };
    let remote = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let mut ids: Vec<Id> = vec![ip_identity(remote)];
    let mut reader = Reader::new(bytes, 1 << 20);
    while let Ok(packet) = AuthPacket::decode(&mut reader) {
        match policy.authenticate(packet.scheme.as_deref(), packet.auth, remote, &ids) {
            AuthOutcome::Accepted(new) => ids.extend(new),
            AuthOutcome::Refused(why) => assert!(!why.to_string().is_empty()),
            AuthOutcome::WrongEnsemble => {}
        }
        let Ok(acl) = List::<AclEntry<'_>>::decode(&mut reader) else { break };
        if let Ok(fixed) = policy.fix_acl(&acl, &ids) {
            assert!(!fixed.is_empty());
            for wanted in [1, 2, 4, 8, 16] {
                if policy.permits_each(Some(&fixed), wanted, &ids) {
                    assert!(policy.permits(Some(&fixed), wanted, &ids));
                }
            }
        }
        policy.users(&ids);
    }
});

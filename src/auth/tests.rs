//! The tables of the authorization rules, row by row.

use super::*;
use crate::proto::acl::{ADMIN, ALL, CREATE, DELETE, READ, WRITE};
use proptest::prelude::*;
use std::borrow::Cow;

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

fn everything() -> Policy {
    Policy { sasl: true, x509: true, ensemble: true, ..Policy::default() }
}

fn entry<'a>(perms: i32, scheme: Option<&'a str>, id: Option<&'a str>) -> AclEntry<'a> {
    AclEntry { perms, scheme: scheme.map(Cow::Borrowed), id: id.map(Cow::Borrowed) }
}

fn sent<'a>(list: &[(i32, &'a str, &'a str)]) -> Option<Vec<AclEntry<'a>>> {
    Some(list.iter().map(|(perms, scheme, id)| entry(*perms, Some(scheme), Some(id))).collect())
}

fn fix(policy: &Policy, scheme: &str, id: Option<&str>) -> Result<Vec<Acl>, ErrorCode> {
    policy.fix_acl(&Some(vec![entry(ALL, Some(scheme), id)]), &[])
}

#[test]
fn no_list_and_an_empty_list_are_open() {
    let policy = Policy::default();
    assert!(policy.permits(None, ALL, &[]));
    assert!(policy.permits(Some(&[]), ALL, &[]));
    assert!(!policy.permits(Some(&[Acl::new(0, "world", "anyone")]), READ, &[]));
}

#[test]
fn skip_acl_permits_all() {
    let policy = Policy { skip_acl: true, ..Policy::default() };
    assert!(policy.permits(Some(&[Acl::new(0, "world", "anyone")]), ADMIN, &[]));
}

#[test]
fn super_passes_every_list() {
    let policy = Policy::default();
    let list = [Acl::new(ALL, "digest", "a:b")];
    assert!(policy.permits(Some(&list), ADMIN, &[Id::new("super", "")]));
    assert!(policy.permits(Some(&list), ADMIN, &[Id::new("super", "CN=x")]));
}

#[test]
fn one_shared_bit_is_enough() {
    let policy = Policy::default();
    let list = [Acl::new(READ | WRITE, "world", "anyone")];
    for (perm, expected) in [(READ, true), (WRITE, true), (CREATE, false), (DELETE, false), (ADMIN, false)] {
        assert_eq!(policy.permits(Some(&list), perm, &[]), expected, "{perm}");
    }
    assert!(policy.permits(Some(&list), READ | ADMIN, &[]), "getACL asks for either");
    assert!(!policy.permits_each(Some(&list), READ | ADMIN, &[]));
    assert!(policy.permits_each(Some(&list), READ | WRITE, &[]));
}

#[test]
fn strange_permission_bits_are_kept_and_compared() {
    let policy = Policy::default();
    for perms in [0, 64, -1] {
        let fixed = policy.fix_acl(&sent(&[(perms, "world", "anyone")]), &[]).unwrap();
        assert_eq!(fixed, [Acl::new(perms, "world", "anyone")]);
    }
    assert!(policy.permits(Some(&[Acl::new(-1, "world", "anyone")]), ADMIN, &[]));
}

#[test]
fn an_entry_matches_only_ids_of_its_own_scheme_and_provider() {
    let ids = [Id::new("ip", "10.1.2.3"), Id::new("digest", "u:h"), Id::new("sasl", "bob"), Id::new("x509", "CN=c")];
    let rows = [
        ("digest", "u:h", true),
        ("digest", "u:g", false),
        ("ip", "10.1.2.3", true),
        ("ip", "10.1.0.0/16", true),
        ("ip", "10.2.0.0/16", false),
        ("sasl", "bob", true),
        ("sasl", "eve", false),
        ("x509", "CN=c", true),
        ("x509", "CN=d", false),
        ("ensemble", "bob", false),
        ("key", "bob", false),
        ("auth", "", false),
        ("world", "10.1.2.3", false),
    ];
    for (scheme, id, expected) in rows {
        assert_eq!(everything().permits(Some(&[Acl::new(READ, scheme, id)]), READ, &ids), expected, "{scheme}:{id}");
    }
    assert!(!Policy::default().permits(Some(&[Acl::new(READ, "sasl", "bob")]), READ, &ids), "not registered");
    let disabled = Policy { digest_enabled: false, ..Policy::default() };
    assert!(!disabled.permits(Some(&[Acl::new(READ, "digest", "u:h")]), READ, &ids));
}

#[test]
fn sasl_user_super_matches_sasl_entries_only() {
    let ids = [Id::new("sasl", "super")];
    assert!(everything().permits(Some(&[Acl::new(READ, "sasl", "bob")]), READ, &ids));
    assert!(!everything().permits(Some(&[Acl::new(READ, "digest", "a:b")]), READ, &ids));
}

#[test]
fn let_any_sasl_user_opens_one_entry() {
    let policy = Policy { let_any_sasl_user: Some("anybody".into()), ..everything() };
    let ids = [Id::new("sasl", "eve")];
    assert!(policy.permits(Some(&[Acl::new(READ, "sasl", "anybody")]), READ, &ids));
    assert!(!policy.permits(Some(&[Acl::new(READ, "sasl", "bob")]), READ, &ids));
    assert!(!policy.permits(Some(&[Acl::new(READ, "sasl", "anybody")]), READ, &[]));
}

#[test]
fn the_x509_super_user_matches_every_x509_entry_and_is_super() {
    let policy = Policy { x509_super_user: Some("CN=root".into()), ..everything() };
    assert!(policy.permits(Some(&[Acl::new(READ, "x509", "CN=other")]), READ, &[Id::new("x509", "CN=root")]));
    assert_eq!(policy.x509_ids("CN=root"), [Id::new("super", "CN=root"), Id::new("x509", "CN=root")]);
    assert_eq!(policy.x509_ids("CN=user"), [Id::new("x509", "CN=user")]);
}

#[test]
fn listed_sasl_users_are_super() {
    let policy = Policy { sasl_super_users: vec!["alice".into(), String::new()], ..everything() };
    assert_eq!(policy.sasl_ids("alice"), [Id::new("sasl", "alice"), Id::new("super", "")]);
    assert_eq!(policy.sasl_ids("bob"), [Id::new("sasl", "bob")]);
    assert_eq!(policy.sasl_ids(""), [Id::new("sasl", "")]);
}

#[test]
fn null_and_empty_lists_are_invalid() {
    let policy = Policy::default();
    assert_eq!(policy.fix_acl(&None, &[]), Err(ErrorCode::INVALID_ACL));
    assert_eq!(policy.fix_acl(&Some(Vec::new()), &[]), Err(ErrorCode::INVALID_ACL));
}

#[test]
fn duplicates_are_removed_and_order_is_kept() {
    let list = sent(&[(1, "world", "anyone"), (2, "ip", "1.2.3.4"), (1, "world", "anyone"), (3, "world", "anyone")]);
    let fixed = Policy::default().fix_acl(&list, &[]).unwrap();
    let expected = [Acl::new(1, "world", "anyone"), Acl::new(2, "ip", "1.2.3.4"), Acl::new(3, "world", "anyone")];
    assert_eq!(fixed, expected);
}

#[test]
fn nulls_are_invalid_or_break_the_original() {
    let all = everything();
    assert_eq!(all.fix_acl(&Some(vec![entry(ALL, None, Some("x"))]), &[]), Err(ErrorCode::INVALID_ACL));
    for scheme in ["world", "digest", "ip", "sasl", "x509"] {
        assert_eq!(fix(&all, scheme, None), Err(ErrorCode::MARSHALLING_ERROR), "{scheme}");
    }
    for scheme in ["ensemble", "super", "nonsense", "auth"] {
        assert_eq!(fix(&all, scheme, None), Err(ErrorCode::INVALID_ACL), "{scheme}");
    }
    assert_eq!(fix(&Policy::default(), "sasl", None), Err(ErrorCode::INVALID_ACL), "not registered");
}

#[test]
fn the_first_bad_entry_decides() {
    let bad = |first, second| Some(vec![entry(1, Some(first), None), entry(1, Some(second), None)]);
    assert_eq!(Policy::default().fix_acl(&bad("digest", "nonsense"), &[]), Err(ErrorCode::MARSHALLING_ERROR));
    assert_eq!(Policy::default().fix_acl(&bad("nonsense", "digest"), &[]), Err(ErrorCode::INVALID_ACL));
}

#[test]
fn each_scheme_judges_its_ids() {
    let rows = [
        ("world", "anyone", true),
        ("world", "Anyone", false),
        ("world", "", false),
        ("digest", "a:b", true),
        ("digest", ":b", true),
        ("digest", "a:b:", true),
        ("digest", "a:b::", true),
        ("digest", "a", false),
        ("digest", "a:", false),
        ("digest", "a:b:c", false),
        ("digest", "a::b", false),
        ("digest", "", false),
        ("digest", ":", false),
        ("super", "", false),
        ("nonsense", "x", false),
        ("ensemble", "x", false),
        ("sasl", "", true),
        ("sasl", "x/y/z", true),
        ("sasl", "bob@REALM", true),
        ("sasl", "bob/host@REALM", true),
        ("sasl", "@", true),
        ("sasl", "a/b/c@REALM", false),
        ("sasl", "a@b@c", false),
        ("sasl", "a@b/c", false),
    ];
    for (scheme, id, valid) in rows {
        let expected = if valid { Ok(vec![Acl::new(ALL, scheme, id)]) } else { Err(ErrorCode::INVALID_ACL) };
        assert_eq!(fix(&everything(), scheme, Some(id)), expected, "{scheme}:{id}");
    }
}

#[test]
fn auth_becomes_the_proven_identities() {
    let ids = [
        Id::new("ip", "127.0.0.1"),
        Id::new("super", ""),
        Id::new("digest", "a:h"),
        Id::new("sasl", "bob"),
        Id::new("x509", "CN=c"),
        Id::new("digest", "b:h"),
    ];
    let list = Some(vec![entry(WRITE, Some("auth"), None), entry(READ, Some("world"), Some("anyone"))]);
    let fixed = Policy::default().fix_acl(&list, &ids).unwrap();
    let expected =
        [Acl::new(WRITE, "digest", "a:h"), Acl::new(WRITE, "digest", "b:h"), Acl::new(READ, "world", "anyone")];
    assert_eq!(fixed, expected, "sasl and x509 are not registered");
    assert_eq!(everything().fix_acl(&list, &ids).unwrap().len(), 5);
    assert_eq!(Policy::default().fix_acl(&list, &ids[..2]), Err(ErrorCode::INVALID_ACL), "nothing proven");
}

#[test]
fn expansion_does_not_remove_duplicates() {
    let list = sent(&[(1, "digest", "a:h"), (1, "auth", ""), (1, "auth", "ignored")]);
    let fixed = Policy::default().fix_acl(&list, &[Id::new("digest", "a:h")]).unwrap();
    assert_eq!(fixed, vec![Acl::new(1, "digest", "a:h"); 3]);
}

#[test]
fn expansion_is_bounded() {
    let ids = [Id::new("digest", "x".repeat(EXPANSION_BYTES_MAX / 2))];
    let list = sent(&[(1, "auth", ""), (2, "auth", "")]);
    assert_eq!(Policy::default().fix_acl(&list, &ids), Err(ErrorCode::INVALID_ACL));
}

#[test]
fn digest_packets() {
    let policy = Policy { super_digest: Some("super:lK75jTNcA+U9vtVEw5vB51mj/w4=".into()), ..Policy::default() };
    let auth = |data: Option<&[u8]>| policy.authenticate(Some("digest"), data, HERE, &[]);
    let super_digest = Id::new("digest", "super:lK75jTNcA+U9vtVEw5vB51mj/w4=");
    assert_eq!(auth(Some(b"super:secret")), AuthOutcome::Accepted(vec![Id::new("super", ""), super_digest]));
    let plain = AuthOutcome::Accepted(vec![Id::new("digest", "bob:X1SKGw3XQQSIPMZRf5lW7e07VPY=")]);
    assert_eq!(auth(Some(b"bob:bob")), plain);
    assert_eq!(auth(None), AuthOutcome::Refused(Refusal::NoData));
    let disabled = Policy { digest_enabled: false, ..policy.clone() };
    assert_eq!(
        disabled.authenticate(Some("digest"), Some(b"a:b"), HERE, &[]),
        AuthOutcome::Refused(Refusal::UnknownScheme)
    );
}

#[test]
fn other_packets() {
    let all = everything();
    let auth = |scheme, data: Option<&[u8]>| all.authenticate(scheme, data, HERE, &[]);
    let refused = AuthOutcome::Refused;
    assert_eq!(auth(None, Some(b"x")), refused(Refusal::UnknownScheme));
    for scheme in ["world", "auth", "super", "key", "nonsense", "Digest"] {
        assert_eq!(auth(Some(scheme), Some(b"a:b")), refused(Refusal::UnknownScheme), "{scheme}");
    }
    assert_eq!(auth(Some("ip"), None), AuthOutcome::Accepted(vec![Id::new("ip", "127.0.0.1")]));
    assert_eq!(auth(Some("sasl"), Some(b"bob")), refused(Refusal::SaslPacket));
    assert_eq!(auth(Some("x509"), Some(b"")), refused(Refusal::NoCertificate));
    let ids = [Id::new("x509", "CN=c")];
    assert_eq!(all.authenticate(Some("x509"), None, HERE, &ids), AuthOutcome::Accepted(Vec::new()));
}

#[test]
fn ensemble_names() {
    let policy = Policy { ensemble_names: Some(Policy::parse_ensemble_names("a, b")), ..everything() };
    let auth = |data: Option<&[u8]>| policy.authenticate(Some("ensemble"), data, HERE, &[]);
    for ours in [None, Some(&b""[..]), Some(b"a"), Some(b"b")] {
        assert_eq!(auth(ours), AuthOutcome::Accepted(Vec::new()), "{ours:?}");
    }
    assert_eq!(auth(Some(b"c")), AuthOutcome::WrongEnsemble);
    assert_eq!(
        everything().authenticate(Some("ensemble"), Some(b"c"), HERE, &[]),
        AuthOutcome::Accepted(Vec::new()),
        "no name configured"
    );
}

#[test]
fn identities_are_bounded() {
    let ids: Vec<Id> = (0..IDENTITIES_MAX).map(|n| Id::new("digest", format!("{n}:h"))).collect();
    let policy = Policy::default();
    let refused = AuthOutcome::Refused(Refusal::TooManyIdentities);
    assert_eq!(policy.authenticate(Some("digest"), Some(b"a:b"), HERE, &ids), refused);
    assert!(matches!(policy.authenticate(Some("digest"), Some(b"a:b"), HERE, &ids[1..]), AuthOutcome::Accepted(_)));
    let mut full = ids;
    full[0] = ip_identity(HERE);
    assert!(matches!(policy.authenticate(Some("ip"), None, HERE, &full), AuthOutcome::Accepted(_)), "held already");
    let huge = [Id::new("digest", "x".repeat(IDENTITY_BYTES_MAX))];
    assert_eq!(policy.authenticate(Some("digest"), Some(b"a:b"), HERE, &huge), refused);
}

#[test]
fn enforced_schemes() {
    let ids = [Id::new("ip", "127.0.0.1"), Id::new("digest", "a:h")];
    let with = |schemes: &[&str]| Policy {
        enforced_schemes: Some(schemes.iter().map(|scheme| (*scheme).to_owned()).collect()),
        ..everything()
    };
    assert!(Policy::default().admits(&[]));
    assert!(with(&["ip"]).admits(&ids));
    assert!(with(&["sasl", "digest"]).admits(&ids));
    assert!(!with(&["sasl"]).admits(&ids));
    assert!(with(&["sasl"]).requires_sasl());
    assert!(!with(&["digest"]).requires_sasl());
    assert_eq!(with(&["sasl", "ip"]).validate(), Ok(()));
    assert_eq!(with(&[]).validate(), Err(PolicyError::NoEnforcedScheme));
    assert_eq!(with(&["ip", "no"]).validate(), Err(PolicyError::UnknownEnforcedScheme("no".into())));
}

#[test]
fn users() {
    let ids = [Id::new("digest", "bob:h"), Id::new("super", ""), Id::new("sasl", "al"), Id::new("ip", "127.0.0.1")];
    assert_eq!(ids.iter().map(|id| everything().user(id)).collect::<Vec<_>>(), ["bob", "", "al", "127.0.0.1"]);
    assert_eq!(everything().users(&ids).as_deref(), Some("bob,al,127.0.0.1"));
    assert_eq!(everything().users(&ids[1..2]), None);
}

#[test]
fn redaction_hides_digests_only() {
    let list = [Acl::new(1, "digest", "a:b:c"), Acl::new(2, "digest", "a"), Acl::new(3, "x509", "CN=a:b")];
    assert_eq!(
        redact(&list),
        [Acl::new(1, "digest", "a:x"), Acl::new(2, "digest", "a"), Acl::new(3, "x509", "CN=a:b")]
    );
}

#[test]
fn world_permissions_are_a_union() {
    let list = [Acl::new(1, "world", "anyone"), Acl::new(16, "ip", "1.2.3.4"), Acl::new(2, "world", "anyone")];
    assert_eq!(world_permissions(&list), 3);
}

proptest! {
    #[test]
    fn no_text_breaks_a_provider(scheme in "ip|digest|sasl|x509|world|auth|ensemble", id in ".{0,40}", perms: i32) {
        let policy = everything();
        let list = Some(vec![entry(perms, Some(&scheme), Some(&id))]);
        let ids = [Id::new("ip", id.clone()), Id::new("digest", id.clone()), Id::new("x509", id.clone())];
        if let Ok(fixed) = policy.fix_acl(&list, &ids) {
            policy.permits(Some(&fixed), perms, &ids);
            redact(&fixed);
        }
    }

    #[test]
    fn no_address_like_text_breaks_the_ip_provider(acl in "[-+0-9a-f:./%]{0,24}", id in "[-+0-9a-f:.]{0,20}") {
        ip::matches(&id, &acl);
        prop_assert_eq!(ip::is_valid(&acl), ip::matches(acl.split('/').next().unwrap(), &acl));
    }

    #[test]
    fn no_credentials_break_the_digest_provider(data: Vec<u8>) {
        let outcome = Policy::default().authenticate(Some("digest"), Some(&data), HERE, &[]);
        prop_assert!(matches!(outcome, AuthOutcome::Accepted(ids) if ids.len() == 1));
    }

    #[test]
    fn whoever_auth_names_may_do_what_it_says(users in proptest::collection::vec("[a-z]{1,5}:[a-z]{0,5}", 1..5)) {
        let policy = Policy::default();
        let mut ids = vec![ip_identity(HERE)];
        for user in &users {
            let AuthOutcome::Accepted(added) = policy.authenticate(Some("digest"), Some(user.as_bytes()), HERE, &ids) else {
                panic!("digest packets are accepted");
            };
            ids.extend(added);
        }
        let list = policy.fix_acl(&sent(&[(WRITE, "auth", "")]), &ids).unwrap();
        prop_assert!(policy.permits(Some(&list), WRITE, &ids[1..2]));
        prop_assert!(!policy.permits(Some(&list), READ, &ids));
        prop_assert!(!policy.permits(Some(&list), WRITE, &ids[..1]));
    }
}

#[test]
fn duplicates_are_looked_for_before_anything_is_judged_and_nulls_break_that() {
    let policy = Policy::default();
    let entry = |perms, scheme: Option<&'static str>, id: Option<&'static str>| AclEntry {
        perms,
        scheme: scheme.map(Into::into),
        id: id.map(Into::into),
    };
    let judged = |entries: &[AclEntry<'static>]| policy.fix_acl(&Some(entries.to_vec()), &[]);
    let broken = Err(ErrorCode::MARSHALLING_ERROR);
    assert_eq!(judged(&[entry(4, Some("digest"), Some("a:")), entry(4, Some("digest"), None)]), broken);
    assert_eq!(judged(&[entry(31, Some("digest"), Some("a")), entry(31, None, Some("x"))]), broken);
    assert_eq!(judged(&[entry(31, Some("ip"), Some("localhost")), entry(31, Some("ip"), None)]), broken);
    assert_eq!(
        judged(&[entry(4, Some("digest"), Some("a:")), entry(5, Some("digest"), None)]),
        Err(ErrorCode::INVALID_ACL)
    );
    let open = entry(31, Some("world"), Some("anyone"));
    assert_eq!(judged(&[open.clone(), open]).map(|list| list.len()), Ok(1));
}

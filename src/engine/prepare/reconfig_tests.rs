//! Reconfigurations as an ensemble of the original answered them (`compat-tests/reconfig/record.py`): error codes, and the
//! text and version of what was made.

use super::{Configurations, Prepared, Request};
use crate::auth::Policy;
use crate::config::Ensemble;
use crate::engine::{Engine, Rules, SessionTable};
use crate::jute::{Encode, Text};
use crate::proto::acl::Id;
use crate::proto::records::ReconfigRequest;
use crate::proto::txn::{Txn, TxnRecord};
use crate::proto::{ErrorCode, OpCode, Zxid};
use crate::tree::{OwnerRules, Tree};
use std::collections::HashMap;
use std::sync::Arc;

const ANSWERS: &str = include_str!("testdata/reconfig-answers.txt");
const SESSION: i64 = 0x100_0000_0000_0001;

struct Case<'a> {
    name: &'a str,
    lines: HashMap<&'a str, &'a str>,
}

fn cases() -> Vec<Case<'static>> {
    let case = |text: &'static str| {
        let (name, rest) = text.split_once('\n').unwrap();
        Case { name, lines: rest.lines().map(|line| line.split_once(' ').unwrap_or((line, ""))).collect() }
    };
    ANSWERS.split("=== ").skip(1).map(case).collect()
}

impl Case<'_> {
    fn text(&self, key: &str) -> Option<String> {
        let quoted = self.lines[key];
        (quoted != "null").then(|| quoted.trim_matches('"').replace("\\n", "\n"))
    }

    fn number(&self, key: &str) -> Option<i64> {
        self.lines.get(key).map(|number| number.parse().unwrap())
    }

    fn request(&self) -> Vec<u8> {
        fn borrowed(text: &Option<String>) -> Text<'_> {
            text.as_deref().map(Into::into)
        }
        let (joining, leaving, members) = (self.text("joining"), self.text("leaving"), self.text("members"));
        ReconfigRequest {
            joining_servers: borrowed(&joining),
            leaving_servers: borrowed(&leaving),
            new_members: borrowed(&members),
            cur_config_id: self.number("version").unwrap(),
        }
        .to_bytes()
    }

    fn engine(&self, tree: &mut Tree) -> Engine {
        let settings = self.lines["settings"];
        // The new configuration takes the next zxid.
        tree.set_zxid(Zxid(self.number("zxid").unwrap_or(8) - 1));
        let policy = Policy { skip_acl: settings == "skipACL", ..Policy::default() };
        let rules = Rules {
            policy: Arc::new(policy),
            owners: tree.rules(),
            enforce_quota: false,
            digest: true,
            close_session_paths: true,
            reconfig: settings != "disabled",
            member: None,
        };
        let mut engine = Engine::new(rules, SessionTable::new(1000, SESSION), tree);
        engine.sessions.track(SESSION, 10_000, 0);
        if settings != "alone" {
            let standalone = settings != "standaloneEnabled=false";
            let current = Ensemble::parse_text(&self.text("current").unwrap(), standalone, false).unwrap();
            engine.configurations = Some(Configurations {
                active: current.clone(),
                last_seen: current,
                synced: self.lines["synced"].split_whitespace().map(|id| id.parse().unwrap()).collect(),
                standalone,
                multi_address: false,
            });
        }
        engine
    }
}

fn tree() -> Tree {
    Tree::new(OwnerRules { extended_types: false, emulate_353: false }, true)
}

fn asked<'a>(body: &'a [u8], identities: &'a [Id]) -> Request<'a> {
    Request { session: SESSION, xid: 1, op: OpCode::RECONFIG, body, identities, time_ms: 5, field_max: 1 << 20 }
}

fn admin() -> Vec<Id> {
    vec![Id::new("super", "")]
}

/// The error, or the text of the new configuration.
fn judged(engine: &mut Engine, tree: &Tree, request: &Request<'_>) -> Result<String, ErrorCode> {
    let mut record = Vec::new();
    let prepared = engine.prepare(tree, request, &mut record);
    assert!(matches!(prepared, Prepared::Logged(_)), "{prepared:?}");
    match TxnRecord::decode(&record).unwrap().txn {
        Txn::Error { err } => Err(ErrorCode(err)),
        Txn::SetData { path, data, version } => {
            assert_eq!((path.as_deref(), version), (Some("/zookeeper/config"), -1));
            Ok(String::from_utf8(data.unwrap().to_vec()).unwrap())
        }
        txn => panic!("{txn:?}"),
    }
}

/// The order of the lines tells how the original's hash map has grown, and nothing else.
fn sorted(text: String) -> Vec<String> {
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn as_the_original_answers() {
    let cases = cases();
    assert!(cases.len() >= 85, "{} cases", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let mut tree = tree();
        let mut engine = case.engine(&mut tree);
        let who = if case.lines["who"] == "super" { admin() } else { Vec::new() };
        let found = judged(&mut engine, &tree, &asked(&case.request(), &who)).map(sorted);
        let expected = match case.number("error") {
            Some(error) => Err(ErrorCode(error as i32)),
            None => Ok(sorted(case.text("new").unwrap())),
        };
        if found != expected {
            wrong.push(format!("{}: {found:?} instead of {expected:?}", case.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn one_at_a_time_until_it_is_active() {
    let case = cases().into_iter().find(|case| case.name == "all null").unwrap();
    let mut tree = tree();
    let mut engine = case.engine(&mut tree);
    let (body, admin) = (case.request(), admin());
    let request = asked(&body, &admin);
    let first = judged(&mut engine, &tree, &request).unwrap();
    assert_eq!(judged(&mut engine, &tree, &request), Err(ErrorCode::RECONFIG_IN_PROGRESS));
    let known = engine.configurations.as_mut().unwrap();
    known.active = known.last_seen.clone();
    assert_eq!(known.active.to_string(), first);
    assert_ne!(judged(&mut engine, &tree, &request).unwrap(), first, "a version of its own");
}

#[test]
fn a_session_that_is_unknown_comes_first_and_a_body_that_is_none_is_not_logged() {
    let case = cases().into_iter().find(|case| case.name == "all null").unwrap();
    let mut tree = tree();
    let mut engine = case.engine(&mut tree);
    let body = case.request();
    let stranger = Request { session: 77, ..asked(&body, &[]) };
    assert_eq!(judged(&mut engine, &tree, &stranger), Err(ErrorCode::UNKNOWN_SESSION));
    assert_eq!(engine.prepare(&tree, &asked(&body[..9], &[]), &mut Vec::new()), Prepared::Undecodable);
}

use super::Args;
use super::plan::Plan;
use super::report::{Known, State, state, table};
use clap::Parser;
use std::net::TcpListener;

fn args(data: &std::path::Path, words: &[&str]) -> Args {
    let data = data.to_str().unwrap();
    Args::parse_from(["dev", "--data", data].iter().chain(words))
}

fn members(roles: &[Option<&str>]) -> Vec<Known> {
    let member = |(at, role): (usize, &Option<&str>)| Known {
        id: at as u8 + 1,
        port: 2181 + at as u16,
        votes: true,
        process: (*role != Some("gone")).then_some(77),
        role: role.filter(|role| *role != "gone").map(Into::into),
    };
    roles.iter().enumerate().map(member).collect()
}

#[test]
fn an_ensemble_serves_with_one_leader_and_a_majority() {
    for (roles, expected) in [
        (&[Some("follower"), Some("leader"), Some("follower")][..], State::Whole),
        (&[Some("follower"), Some("leader"), None], State::Partly),
        (&[Some("gone"), Some("leader"), Some("follower")], State::Partly),
        (&[None, Some("leader"), Some("gone")], State::Down),
        (&[Some("follower"), Some("follower"), Some("gone")], State::Down),
        (&[Some("leader"), Some("leader"), Some("follower")], State::Down),
        (&[Some("standalone")], State::Whole),
        (&[None], State::Down),
    ] {
        assert_eq!(state(&members(roles)), expected, "{roles:?}");
    }
    let shown = table(&members(&[Some("gone"), Some("leader"), None]));
    let lines = [
        "  1   127.0.0.1:2181   does not run",
        "  2   127.0.0.1:2182   leader          process 77",
        "  3   127.0.0.1:2183   does not serve  process 77",
    ];
    assert_eq!(shown, lines.join("\n"));
}

#[test]
fn a_plan_that_cannot_work_is_refused_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    let refusal = |words: &[&str]| Plan::make(&args(folder.path(), words)).map(|_| ()).unwrap_err().0;
    let plan = Plan::make(&args(folder.path(), &["--set", "tickTime=500"])).unwrap();
    let text = std::fs::read_to_string(plan.members[1].config()).unwrap();
    assert!(text.ends_with("tickTime=500\n") && text.contains("server.3=127.0.0.1:"), "{text}");
    assert_eq!(plan.connection_string().split(',').count(), 3);
    let said = refusal(&[]);
    assert!(said.contains("another oxkeeper dev"), "{said}");
    for member in &plan.members {
        std::fs::create_dir(member.home.join("data/version-2")).unwrap();
    }
    drop(plan);
    let said = refusal(&["--servers", "5"]);
    assert!(said.contains("the data of 3 members, and 5 are asked for"), "{said}");
    for setting in ["clientPort=1", "server.9=127.0.0.1:1:2"] {
        let said = refusal(&["--set", setting]);
        assert!(said.contains("decided by dev"), "{setting}: {said}");
    }
    let said = refusal(&["--set", "tickTime=never"]);
    assert!(said.contains("tickTime"), "{said}");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let holder = TcpListener::bind(("127.0.0.1", taken)).unwrap();
    let said = refusal(&["--port", &taken.to_string()]);
    assert!(said.contains("port"), "{said}");
    drop(holder);
    let said = refusal(&["--port", "65000"]);
    assert!(said.contains("65000"), "{said}");
}

/// Folders alone are no data.
#[test]
fn a_refused_ensemble_leaves_nothing_in_the_way() {
    let folder = tempfile::tempdir().unwrap();
    assert!(Plan::make(&args(folder.path(), &["--servers", "5", "--set", "sslQuorum=true"])).is_err());
    assert!(folder.path().join("5").is_dir());
    assert!(Plan::make(&args(folder.path(), &["--servers", "3"])).is_ok());
}

/// What a server cannot do yet is said by the code that knows, and before a member runs.
#[test]
fn what_servers_refuse_is_refused_for_the_ensemble() {
    let folder = tempfile::tempdir().unwrap();
    let said = Plan::make(&args(folder.path(), &["--set", "sslQuorum=true"])).map(|_| ()).unwrap_err().0;
    assert!(said.contains("sslQuorum"), "{said}");
    assert!(Args::try_parse_from(["dev", "--servers", "0"]).is_err());
    assert!(Args::try_parse_from(["dev", "--set", "nothing"]).is_err());
}

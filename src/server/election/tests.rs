//! The election port as peers see it: the tests play the other members.

use super::*;
use crate::config::SystemProperties;
use crate::quorum::{Greeting, Vote};
use std::io::Write;
use std::net::TcpListener;

/// Member `me` of two, and the listener of the other, which the test plays.
struct Pair {
    election: Election,
    port: u16,
    peer: TcpListener,
    _folder: tempfile::TempDir,
}

fn pair() -> Pair {
    pair_of(1, "")
}

fn pair_of(me: ServerId, more: &str) -> Pair {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("myid"), format!("{me}\n")).unwrap();
    let peer = TcpListener::bind("127.0.0.1:0").unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, other) = (free.local_addr().unwrap().port(), peer.local_addr().unwrap().port());
    drop(free);
    let text = format!(
        "dataDir={}\nclientPort=0\ntickTime=500\ninitLimit=20\nsyncLimit=6\n\
         server.{me}=127.0.0.1:1:{port}\nserver.{}=127.0.0.1:2:{other}\n{more}",
        folder.path().display(),
        3 - me,
    );
    let file = folder.path().join("zoo.cfg");
    let config = Config::parse(text.as_bytes(), &file, &SystemProperties::default()).unwrap();
    Pair { election: Election::start(&config, me).unwrap(), port, peer, _folder: folder }
}

fn framed(told: &Notification) -> Vec<u8> {
    let body = told.encode();
    [&(body.len() as i32).to_be_bytes()[..], &body].concat()
}

fn greet(port: u16, peer: ServerId) -> TcpStream {
    greet_as(port, peer, "127.0.0.1:2")
}

fn greet_as(port: u16, peer: ServerId, addresses: &str) -> TcpStream {
    let patience = Instant::now() + Duration::from_secs(20);
    let mut socket = loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(socket) => break socket,
            Err(error) => assert!(Instant::now() < patience, "{error}"),
        }
    };
    let addresses = addresses.split('|').map(str::to_owned).collect();
    socket.write_all(&Greeting { server: peer, addresses }.encode()).unwrap();
    socket
}

fn looking(round: i64) -> Notification {
    let vote = Vote { leader: 2, zxid: Zxid(0), round, epoch: 0 };
    Notification::new(PeerState::Looking, vote, "server.2=127.0.0.1:2:3:participant\nversion=0")
}

#[test]
fn who_waited_alone_decides_as_soon_as_there_is_company() {
    let Pair { mut election, port, peer, _folder } = pair();
    let (to, decision) = channel();
    std::thread::spawn(move || to.send(election.elect(Zxid(0), 0)));
    // It dials at 0, 600, 1400 and 3000 ms; after the fourth it would sleep for 3200.
    for _ in 0..4 {
        let mut greeting = Vec::new();
        peer.accept().unwrap().0.read_to_end(&mut greeting).unwrap();
        assert_eq!(Greeting::decode(&greeting).unwrap().server, 1);
    }
    let mut socket = greet(port, 2);
    socket.write_all(&framed(&looking(1))).unwrap();
    let met = Instant::now();
    assert_eq!(decision.recv_timeout(Duration::from_secs(10)), Ok(Decision::Follow(2)));
    let took = met.elapsed();
    assert!(took < Duration::from_millis(2500), "decided after {took:?}, when the pause between votes was over");
}

#[test]
fn strangers_and_votes_that_cannot_be_read_lose_their_connection() {
    let Pair { election, port, peer: _peer, _folder } = pair();
    let hostile: [&[u8]; 4] = [b"\x7f\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\0\0\x04\0\0\0\x09"];
    for bytes in hostile {
        let mut socket = greet(port, 2);
        socket.write_all(bytes).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        // Closed, with or without a reset; an open connection would time out.
        let end = socket.read_to_end(&mut Vec::new());
        assert!(
            end.as_ref().is_ok_and(|read| *read == 0) || end.is_err_and(|e| e.kind() == io::ErrorKind::ConnectionReset)
        );
    }
    let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    socket.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let end = socket.read_to_end(&mut Vec::new());
    assert!(
        end.as_ref().is_ok_and(|read| *read == 0) || end.is_err_and(|e| e.kind() == io::ErrorKind::ConnectionReset)
    );
    drop(election);
}

fn greeting_on(listener: &TcpListener) -> (TcpStream, Greeting) {
    let mut socket = listener.accept().unwrap().0;
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut bytes = Vec::new();
    loop {
        match Greeting::wanted(&bytes).unwrap() {
            0 => return (socket, Greeting::decode(&bytes).unwrap()),
            wanted => {
                let start = bytes.len();
                bytes.resize(start + wanted, 0);
                socket.read_exact(&mut bytes[start..]).unwrap();
            }
        }
    }
}

fn vote_on(socket: &mut TcpStream) -> Notification {
    Notification::decode(&read_frame(socket).unwrap()).unwrap()
}

#[test]
fn a_smaller_id_that_dials_is_dialled_back_and_hears_the_last_vote_again() {
    let Pair { mut election, port, peer, _folder } = pair_of(2, "");
    std::thread::spawn(move || election.elect(Zxid(7), 1));
    // The larger id dials, and keeps what it dialled.
    let (mut first, greeting) = greeting_on(&peer);
    assert_eq!(greeting.server, 2);
    assert_eq!(vote_on(&mut first).vote.leader, 2);
    // The peer dials: that connection ends, the old one too, and a new one comes.
    let mut refused = greet_as(port, 1, &format!("127.0.0.1:{}", peer.local_addr().unwrap().port()));
    assert_eq!(refused.read(&mut [0]).unwrap_or(0), 0);
    let (mut second, _) = greeting_on(&peer);
    assert_eq!(vote_on(&mut second).vote.leader, 2);
    while first.read(&mut [0; 512]).unwrap_or(0) > 0 {}
}

#[test]
fn a_server_that_is_not_in_the_configuration_is_dialled_where_it_says_and_told_who_leads() {
    let Pair { mut election, port, peer, _folder } = pair_of(2, "");
    let (to, decision) = channel();
    std::thread::spawn(move || {
        let _ = to.send(election.elect(Zxid(7), 1));
        std::thread::park();
    });
    let joiner = TcpListener::bind("127.0.0.1:0").unwrap();
    drop(greet_as(port, 0, &format!("0.0.0.0:1|127.0.0.1:{}", joiner.local_addr().unwrap().port())));
    let (mut joining, _) = greeting_on(&joiner);
    joining.write_all(&framed(&looking(1))).unwrap();
    let (mut member, _) = greeting_on(&peer);
    let vote = vote_on(&mut member).vote;
    member.write_all(&framed(&Notification::new(PeerState::Looking, vote, "server.1=a:1:2\nversion=0"))).unwrap();
    assert_eq!(decision.recv_timeout(Duration::from_secs(20)), Ok(Decision::Lead));
    let told = vote_on(&mut joining);
    assert_eq!((told.state, told.vote.leader), (PeerState::Leading, 2));
}

#[test]
fn all_addresses_are_told_and_dialled_if_members_may_have_several() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("myid"), "2\n").unwrap();
    let bound = |ip: &str| TcpListener::bind((ip, 0)).unwrap();
    let (peer, dead, one, two) = (bound("127.0.0.1"), bound("127.0.0.1"), bound("127.0.0.1"), bound("127.0.0.2"));
    let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
    let text = format!(
        "dataDir={}\nclientPort=0\ntickTime=500\ninitLimit=20\nsyncLimit=6\nmultiAddress.enabled=true\n\
         server.1=127.0.0.1:1:{}|127.0.0.1:2:{}\nserver.2=127.0.0.1:3:{}|127.0.0.2:4:{}\n",
        folder.path().display(),
        port(&dead),
        port(&peer),
        port(&one),
        port(&two)
    );
    let own = [port(&one), port(&two)];
    drop((dead, one, two));
    let config = Config::parse(text.as_bytes(), &folder.path().join("zoo.cfg"), &SystemProperties::default()).unwrap();
    let mut election = Election::start(&config, 2).unwrap();
    std::thread::spawn(move || election.elect(Zxid(7), 1));
    let (_first, greeting) = greeting_on(&peer);
    assert_eq!(greeting.addresses, [format!("127.0.0.1:{}", own[0]), format!("127.0.0.2:{}", own[1])]);
    for (ip, port) in [("127.0.0.1", own[0]), ("127.0.0.2", own[1])] {
        let patience = Instant::now() + Duration::from_secs(20);
        let mut socket = loop {
            match TcpStream::connect((ip, port)) {
                Ok(socket) => break socket,
                Err(error) => assert!(Instant::now() < patience, "{ip}: {error}"),
            }
        };
        socket.write_all(&Greeting { server: 1, addresses: vec!["127.0.0.1:1".into()] }.encode()).unwrap();
        let (_again, _) = greeting_on(&peer);
    }
}

#[test]
fn a_server_with_the_same_id_is_refused_and_one_without_a_line_does_not_start() {
    let Pair { election, port, peer: _peer, _folder } = pair();
    let mut twin = greet(port, 1);
    twin.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    assert_eq!(twin.read(&mut [0]).unwrap_or(0), 0);
    drop(election);
    let text = format!(
        "dataDir={}\nclientPort=0\ninitLimit=5\nsyncLimit=2\nserver.1=a:1:2\nserver.3=b:1:2",
        _folder.path().display()
    );
    let config = Config::parse(text.as_bytes(), &_folder.path().join("zoo.cfg"), &SystemProperties::default()).unwrap();
    let refusal = Election::start(&config, 2).err().unwrap().to_string();
    assert_eq!(refusal, "myid says 2, and there is no line server.2: the lines are for 1, 3; one of both is wrong");
}

#[test]
fn a_crowd_of_silent_strangers_keeps_no_member_out() {
    let Pair { mut election, port, peer: _peer, _folder } = pair();
    let (to, decision) = channel();
    let shared = election.handle.shared.clone();
    std::thread::spawn(move || to.send(election.elect(Zxid(0), 0)));
    drop(greet(port, 2));
    let crowd: Vec<_> = (0..300)
        .map(|n| {
            let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
            let half: &[u8] = if n % 2 == 0 { b"" } else { b"\xff\xff\xff\xff\xff\xff\0\0\0\0" };
            // It may have lost its connection to others already.
            let _ = socket.write_all(half);
            socket
        })
        .collect();
    let mut socket = greet(port, 2);
    socket.write_all(&framed(&looking(1))).unwrap();
    assert_eq!(decision.recv_timeout(Duration::from_secs(30)), Ok(Decision::Follow(2)));
    assert!(shared.strangers.len() <= 64);
    drop(crowd);
}

#[test]
fn a_later_configuration_is_taken_up_with_its_voters_and_its_ports() {
    let Pair { mut election, port, peer, _folder } = pair_of(2, "reconfigEnabled=true\n");
    let (third, free) = (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let moved = free.local_addr().unwrap().port();
    drop(free);
    let text = format!(
        "server.1=127.0.0.1:1:{}:participant\nserver.2=127.0.0.1:1:{moved}:participant\n\
         server.3=127.0.0.1:1:{}:participant\nversion=100000001",
        peer.local_addr().unwrap().port(),
        third.local_addr().unwrap().port()
    );
    std::thread::spawn(move || election.elect(Zxid(7), 1));
    let (mut one, _) = greeting_on(&peer);
    let vote = vote_on(&mut one).vote;
    one.write_all(&framed(&Notification::new(PeerState::Looking, Vote { zxid: Zxid(0), leader: 1, ..vote }, &text)))
        .unwrap();
    // The new member is dialled, with the new text and the new address.
    let mut third_greeted = third.accept().unwrap().0;
    let mut greeting = Vec::new();
    third_greeted.read_to_end(&mut greeting).unwrap();
    assert_eq!(Greeting::decode(&greeting).unwrap().addresses, [format!("127.0.0.1:{moved}")]);
    let mut again = greet_as(moved, 3, "127.0.0.1:1");
    assert_eq!(vote_on(&mut again).config, text.as_bytes());
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "nobody listens on the old port");
}

#[test]
fn a_leader_hears_of_a_voter_that_looks_for_another() {
    let Pair { mut election, port, peer, _folder } = pair_of(2, "");
    let (to, told) = channel();
    let to = Mutex::new(to);
    election.on_desertion(Box::new(move || {
        let _ = locked(&to).send(());
    }));
    let (decide, decision) = channel();
    std::thread::spawn(move || {
        let _ = decide.send(election.elect(Zxid(7), 1));
        std::thread::park();
    });
    let (mut member, _) = greeting_on(&peer);
    let vote = vote_on(&mut member).vote;
    member.write_all(&framed(&Notification::new(PeerState::Looking, vote, "server.1=a:1:2\nversion=0"))).unwrap();
    assert_eq!(decision.recv_timeout(Duration::from_secs(20)), Ok(Decision::Lead));
    assert!(told.try_recv().is_err());
    member.write_all(&framed(&looking(vote.round + 1))).unwrap();
    assert_eq!(told.recv_timeout(Duration::from_secs(20)), Ok(()));
    drop(TcpStream::connect(("127.0.0.1", port)));
}

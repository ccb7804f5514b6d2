//! Makes the steps of a plan: a pure function of seed and step number, so that any part of a run can be made again
//! without the rest. What fields may hold is in `bodies`; what a step does is in `execute`.

use crate::bodies::{self, Place, text};
use crate::plan::{Connect, Password, Profile, Request, Step};
use crate::rng::Rng;
use oxkeeper::jute::Decode;
use oxkeeper::jute::{Encode, Reader, put_bytes};
use oxkeeper::proto::records::{
    AuthPacket, CreateRequest, CreateTtlRequest, MULTI_END, MultiHeader, PathModeRequest, PathRequest,
    PathVersionRequest, PathWatchRequest, ReconfigRequest, SetAclRequest, SetDataRequest, SetPersistentWatches,
    SetWatches,
};

/// Sessions that take part.
pub const CLIENTS: usize = 6;
/// Steps after which the plan moves to a fresh top-level node.
const STEPS_PER_TOP: u64 = 48;
/// Steps after which both servers restart.
const STEPS_PER_LIFE: u64 = 1024;

/// Operations that use up zxids.
const WRITES: &[(usize, i32)] = &[(26, 1), (14, 15), (6, 19), (6, 21), (22, 2), (24, 5), (4, 7), (14, 14), (1, 16)];
/// Operations that do not.
const READS: &[(usize, i32)] = &[
    (16, 3),
    (20, 4),
    (5, 6),
    (12, 8),
    (10, 12),
    (4, 9),
    (3, 11),
    (5, 17),
    (5, 18),
    (7, 22),
    (4, 101),
    (3, 103),
    (3, 104),
    (4, 105),
    (8, 106),
    (2, 107),
];

/// Step number `index` of the plan that `seed` stands for.
pub fn step(seed: u64, index: u64, profile: &Profile) -> Step {
    let mut rng = Rng::new(seed, index);
    let maker =
        Maker { place: Place { top: index / STEPS_PER_TOP }, profile, base_xid: ((index as i32) << 10) & 0x3fff_fc00 };
    maker.step(&mut rng, index)
}

/// A step that reads one node.
pub fn look_at(path: &str) -> Step {
    let body = PathWatchRequest { path: Some(path.into()), watch: false }.to_bytes();
    let request = Request { xid: 1, op: 4, body, relative_zxid: None, alone: false, closes: false };
    Step::Read { bursts: vec![(CLIENTS - 1, vec![request])] }
}

struct Maker<'a> {
    place: Place,
    profile: &'a Profile,
    base_xid: i32,
}

impl Maker<'_> {
    fn step(&self, rng: &mut Rng, index: u64) -> Step {
        // The first steps of a top make its first nodes; without them everything below is missing.
        if index.is_multiple_of(STEPS_PER_TOP) {
            return Step::Write { client: rng.below(CLIENTS), requests: self.seedling() };
        }
        if index % STEPS_PER_LIFE == STEPS_PER_LIFE - 1 {
            return Step::Restart { swap: rng.percent(50) };
        }
        let client = rng.below(CLIENTS);
        match rng.below(1000) {
            0..520 => Step::Write { client, requests: self.write_burst(rng) },
            520..920 => Step::Read { bursts: self.read_bursts(rng) },
            920..938 => Step::Garbage { client, bytes: self.garbage(rng) },
            938..953 => Step::Drop { client },
            953..970 => self.resume(rng, client),
            970..988 => self.probe(rng),
            988..998 => Step::Word { word: word(rng) },
            _ => Step::Expire { requests: self.ephemerals(rng), drop: rng.percent(50) },
        }
    }

    fn request(&self, number: usize, op: i32, body: Vec<u8>) -> Request {
        let xid = self.base_xid + 1 + number as i32;
        Request { xid, op, body, relative_zxid: None, alone: false, closes: false }
    }

    /// The nodes of a fresh top that most paths go through.
    fn seedling(&self) -> Vec<Request> {
        let top = format!("/r{}", self.place.top);
        let mut paths: Vec<String> = vec!["/a".into(), "/b".into(), top.clone()];
        paths.extend(["a", "b", "c", "d"].map(|name| format!("{top}/{name}")));
        paths.extend([
            format!("/zookeeper/quota{top}"),
            format!("/zookeeper/quota{top}/a"),
            "/zookeeper/quota/a".into(),
        ]);
        let create = |(number, path): (usize, &String)| {
            let acl = Some(vec![(31, Some("world"), Some("anyone"))]);
            let record =
                CreateRequest { path: Some(path.as_str().into()), data: None, acl: bodies::entries(&acl), flags: 0 };
            self.request(number, 1, record.to_bytes())
        };
        paths.iter().enumerate().map(create).collect()
    }

    fn write_burst(&self, rng: &mut Rng) -> Vec<Request> {
        let most = rng.weighted(&[(20, 4), (30, 32), (40, 100), (10, 240)]);
        let count = rng.between(1, most);
        let writes = rng.pick(&[20, 50, 50, 80, 100]);
        let mut out: Vec<Request> = Vec::with_capacity(count + 1);
        for number in 0..count {
            let mut request = if rng.permille(6) {
                self.auth(rng, number)
            } else if rng.below(self.profile.frame_max) < 40 {
                self.sized(rng, number)
            } else if rng.percent(writes) {
                let op = rng.weighted(WRITES);
                self.any(rng, number, op)
            } else {
                let op = rng.weighted(READS);
                self.any(rng, number, op)
            };
            request.alone |= self.profile.one_by_one && WRITES.iter().any(|(_, op)| *op == request.op);
            out.push(request);
        }
        match rng.below(1000) {
            0..25 => out.push(Request { closes: true, ..self.request(count, -11, vec![]) }),
            25..40 => {
                let op = rng.pick(&[0, 10, 13, 23, 99, 108, 999, -1, -2, -12, i32::MAX, i32::MIN]);
                let body = PathVersionRequest { path: Some("/a".into()), version: -1 }.to_bytes();
                out.push(Request { closes: true, alone: true, ..self.request(count, op, body) });
            }
            _ => {}
        }
        if let Some(at) = out.iter().position(|request| request.closes) {
            out.truncate(at + 1);
        }
        out
    }

    fn read_bursts(&self, rng: &mut Rng) -> Vec<(usize, Vec<Request>)> {
        let most = rng.pick(&[2, 8, 24]);
        let mut bursts = vec![];
        for client in 0..CLIENTS {
            let count = rng.between(0, most);
            let request = |number| {
                let op = rng.weighted(READS);
                self.any(rng, number, op)
            };
            let requests: Vec<Request> = (0..count).map(request).filter(|request| !request.closes).collect();
            if !requests.is_empty() {
                bursts.push((client, requests));
            }
        }
        bursts
    }

    /// A request of the given operation, now and then bent out of shape.
    fn any(&self, rng: &mut Rng, number: usize, op: i32) -> Request {
        let mut request = self.request(number, op, vec![]);
        request.body = self.body(rng, op);
        if matches!(op, 101 | 105) {
            request.relative_zxid = Some(rng.pick(&[0, 0, 1, 5, 50, 1000, -5]));
        }
        if op == 11 {
            request.xid = rng.pick(&[-2, -2, -2, 55]);
        } else if rng.permille(15) {
            request.xid = rng.pick(&[0, -2, -4, -8, -100, i32::MIN, i32::MAX, self.base_xid]);
        }
        if rng.permille(35) {
            let bent = bend(rng, &request.body);
            if is_harmless(op, &bent) {
                request.body = bent;
                if request.body.len() < 8 {
                    request.relative_zxid = None;
                }
            }
        }
        self.fitting(request)
    }

    /// Notes when a frame is longer than the server takes: it closes then, and earlier replies may be lost.
    fn fitting(&self, request: Request) -> Request {
        let closes = 8 + request.body.len() > self.profile.frame_max;
        Request { alone: closes, closes, ..request }
    }

    /// A setData whose frame is as long as the limit, or a little longer or shorter.
    fn sized(&self, rng: &mut Rng, number: usize) -> Request {
        let path = format!("/r{}/a", self.place.top);
        let frame = self.profile.frame_max + 1 - rng.below(3);
        let data = vec![7; frame - 8 - 4 - path.len() - 4 - 4];
        let record = SetDataRequest { path: Some(path.into()), data: Some(&data), version: -1 };
        self.fitting(self.request(number, 5, record.to_bytes()))
    }

    fn body(&self, rng: &mut Rng, op: i32) -> Vec<u8> {
        let path = bodies::path(rng, self.place);
        let mut out = vec![];
        match op {
            1 | 15 | 19 | 21 => {
                let (data, acl) = (bodies::data(rng, path.as_deref()), bodies::acl(rng));
                let (data, acl, mut flags) = (data.as_deref(), bodies::entries(&acl), bodies::flags(rng, op));
                // What a closing session deletes behind its own quota limits is not counted: but which that is, is chance.
                if matches!(flags, 1 | 3) && path.as_ref().is_some_and(|path| path.starts_with("/zookeeper/quota")) {
                    flags -= 1;
                }
                let path = text(&path);
                if op != 21 {
                    CreateRequest { path, data, acl, flags }.encode(&mut out);
                    return out;
                }
                let mut ttl_ms = bodies::ttl(rng);
                // Ends a Java server; see the table of differences by design.
                if !matches!(flags, 5 | 6) {
                    ttl_ms &= i64::MAX;
                }
                CreateTtlRequest { path, data, acl, flags, ttl_ms }.encode(&mut out);
            }
            2 | 13 => PathVersionRequest { path: text(&path), version: bodies::version(rng) }.encode(&mut out),
            3 | 4 | 8 | 12 => {
                PathWatchRequest { path: text(&path), watch: false }.encode(&mut out);
                let last = out.len() - 1;
                out[last] = rng.pick(&[0, 0, 0, 1, 1, 7]);
            }
            5 => {
                let data = bodies::data(rng, path.as_deref());
                let record = SetDataRequest { path: text(&path), data: data.as_deref(), version: bodies::version(rng) };
                record.encode(&mut out);
            }
            6 | 9 | 104 => PathRequest { path: text(&path) }.encode(&mut out),
            103 => {
                let prefix = match rng.below(10) {
                    0..4 => Some(rng.pick(&["/", "", " ", "/r", "/a"]).to_owned()),
                    _ => path,
                };
                PathRequest { path: text(&prefix) }.encode(&mut out);
            }
            7 => {
                let acl = bodies::acl(rng);
                let record =
                    SetAclRequest { path: text(&path), acl: bodies::entries(&acl), version: bodies::version(rng) };
                record.encode(&mut out);
            }
            14 => self.multi(rng, false, &mut out),
            22 => self.multi(rng, true, &mut out),
            16 => {
                let text = |rng: &mut Rng| {
                    rng.pick(&[None, Some("server.2=127.0.0.1:1:2;3"), Some("1"), Some(""), Some("x")]).map(Into::into)
                };
                let record = ReconfigRequest {
                    joining_servers: text(rng),
                    leaving_servers: text(rng),
                    new_members: text(rng),
                    cur_config_id: rng.pick(&[-1, 0, 7]),
                };
                record.encode(&mut out);
            }
            17 => self.mode(rng, &path, &[1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 0, 6, -1], &mut out),
            18 => self.mode(rng, &path, &[1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 0, 6, -1], &mut out),
            106 => self.mode(rng, &path, &[0, 1, 0, 1, 0, 1, 0, 1, 2, -1], &mut out),
            101 | 105 => self.set_watches(rng, op == 105, &mut out),
            _ => {}
        }
        out
    }

    fn mode(&self, rng: &mut Rng, path: &Option<String>, modes: &[i32], out: &mut Vec<u8>) {
        PathModeRequest { path: text(path), mode: rng.pick(modes) }.encode(out);
    }

    fn set_watches(&self, rng: &mut Rng, persistent: bool, out: &mut Vec<u8>) {
        let mut list = |percent| -> Option<Vec<Option<String>>> {
            let null = rng.permille(4);
            let count = if rng.percent(percent) { rng.between(1, 4) } else { 0 };
            let paths = (0..count).map(|_| bodies::path(rng, self.place)).collect();
            (!null).then_some(paths)
        };
        let (data, exist, child) = (list(70), list(50), list(60));
        let (stays, recursive) = (list(50), list(40));
        let texts = |list: &'_ Option<Vec<Option<String>>>| -> Option<Vec<oxkeeper::jute::Text<'static>>> {
            list.as_ref().map(|list| list.iter().map(|path| path.clone().map(Into::into)).collect())
        };
        let record = SetWatches {
            relative_zxid: 0,
            data_watches: texts(&data),
            exist_watches: texts(&exist),
            child_watches: texts(&child),
        };
        record.encode(out);
        if persistent {
            let record = SetPersistentWatches {
                persistent_watches: texts(&stays),
                persistent_recursive_watches: texts(&recursive),
            };
            record.encode(out);
        }
    }

    fn multi(&self, rng: &mut Rng, reads: bool, out: &mut Vec<u8>) {
        let count = rng.weighted(&[(4, 0), (30, 1), (50, 4), (10, 12), (2, 60)]);
        let count = rng.between(count.min(1), count);
        let stray = rng.percent(4);
        for _ in 0..count {
            let op = if stray && rng.percent(30) {
                rng.pick(&[7, 12, 16, 20, 3, 9, 0, 4, 8, 1, 100, -11, 14, 22, -2])
            } else if reads {
                rng.pick(&[4, 8])
            } else {
                rng.pick(&[1, 1, 1, 2, 2, 5, 5, 5, 13, 13, 15, 15, 19, 21])
            };
            let header = MultiHeader { op, done: false, err: rng.pick(&[-1, -1, 0, 5]) };
            header.encode(out);
            let start = out.len();
            out.extend(self.body(rng, if matches!(op, 14 | 22) { 9 } else { op }));
            let at = out.len() - 4;
            let word = out[at.max(start)..].try_into().map_or(-1, i32::from_be_bytes);
            match (op, word) {
                // Flags 5 and 6 on a plain create fail the whole request: leave some multis that can succeed.
                (1 | 15 | 19, 5 | 6) if rng.percent(90) => out[at + 3] = 2,
                // Would be an ephemeral node until it is applied; see the table of differences by design.
                (19, 1 | 3) => out[at + 3] = 4,
                _ => {}
            }
        }
        if rng.permille(990) {
            MULTI_END.encode(out);
        }
    }

    fn auth(&self, rng: &mut Rng, number: usize) -> Request {
        if rng.percent(8) {
            let mut body = vec![];
            rng.pick(&[None, Some(&b""[..]), Some(b"token")]).encode(&mut body);
            return Request { alone: true, ..self.request(number, 102, body) };
        }
        let (scheme, auth, accepted) = bodies::auth(rng);
        let body = AuthPacket { kind: rng.pick(&[0, 0, 5]), scheme: scheme.map(Into::into), auth }.to_bytes();
        Request { xid: -4, alone: true, closes: !accepted, ..self.request(number, 100, body) }
    }

    fn garbage(&self, rng: &mut Rng) -> Vec<u8> {
        let framed = |body: &[u8]| {
            let mut out = vec![];
            put_bytes(&mut out, body);
            out
        };
        let max = self.profile.frame_max;
        match rng.below(9) {
            0 => vec![0, 0, 0, 0],
            1 => framed(&[0; 4]),
            2 => framed(&[0, 0, 0, 1, 0, 0, 0]),
            3 => vec![0xff, 0xff, 0xff, 0xff],
            4 => vec![0x80, 0, 0, 0],
            5 => (max as i32 + 1).to_be_bytes().to_vec(),
            6 => b"ruok".to_vec(),
            7 => b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
            _ => vec![0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3],
        }
    }

    fn connect(&self, rng: &mut Rng, timeout_ms: i32) -> Connect {
        Connect {
            protocol_version: rng.pick(&[0, 0, 0, 7, -1]),
            last_zxid: rng.pick(&[0, 0, -1, -1000]),
            relative: rng.percent(50),
            timeout_ms,
            read_only: rng.pick(&[Some(0), Some(0), Some(1), Some(7), None]),
            trailing: if rng.percent(5) { vec![9; 3] } else { vec![] },
        }
    }

    fn resume(&self, rng: &mut Rng, client: usize) -> Step {
        let password = rng.pick(&[
            Password::Right,
            Password::Right,
            Password::Right,
            Password::Wrong,
            Password::Null,
            Password::Short,
        ]);
        let mut connect = self.connect(rng, 600_000);
        if connect.read_only.is_none() {
            connect.trailing.clear();
        }
        let count = if password == Password::Right { rng.between(0, 8) } else { 0 };
        let request = |number| {
            let op = rng.weighted(READS);
            self.any(rng, number, op)
        };
        Step::Resume {
            client,
            password,
            connect,
            requests: (0..count).map(request).filter(|request| !request.closes).collect(),
        }
    }

    fn probe(&self, rng: &mut Rng) -> Step {
        let mut timeouts = vec![0, -1, 1, 399, 400, 401, 30_000, 599_999, 600_000, 600_001, i32::MAX, i32::MIN];
        timeouts.rotate_left(rng.below(12));
        let mut connect = self.connect(rng, timeouts[0]);
        if connect.read_only.is_none() {
            connect.trailing.clear();
        }
        if rng.percent(10) {
            connect.last_zxid = rng.pick(&[1, 1000, 1 << 40]);
            connect.relative = true;
        }
        let stranger = rng.percent(20).then(|| {
            let id = rng.pick(&[1, -1, i64::MIN, i64::MAX, 0x0100_0000_0000_0000]);
            let password = match rng.below(3) {
                0 => vec![0; 16],
                1 => vec![],
                _ => oxkeeper::proto::session::password(id).to_vec(),
            };
            (id, password)
        });
        let mut requests = vec![];
        if stranger.is_none() && connect.last_zxid <= 0 {
            let mut count = rng.between(0, 6);
            if rng.percent(20) {
                requests = self.ephemerals(rng);
                count = requests.len();
            } else {
                for number in 0..count {
                    let table = if rng.percent(40) { WRITES } else { READS };
                    let op = rng.weighted(table);
                    requests.push(self.any(rng, number, op));
                }
                requests.retain(|request| !request.closes);
                if self.profile.one_by_one {
                    requests.iter_mut().for_each(|request| request.alone = true);
                }
            }
            requests.push(Request { closes: true, ..self.request(count, -11, vec![]) });
        }
        Step::Probe { connect, stranger, requests }
    }

    /// Creates ephemeral nodes, some of them under the same parent.
    fn ephemerals(&self, rng: &mut Rng) -> Vec<Request> {
        let count = rng.between(1, 6);
        let create = |number| {
            let path = Some(bodies::plain_path(rng, self.place));
            let acl = Some(vec![(31, Some("world"), Some("anyone"))]);
            let record =
                CreateRequest { path: text(&path), data: None, acl: bodies::entries(&acl), flags: rng.pick(&[1, 3]) };
            self.request(number, rng.pick(&[1, 15]), record.to_bytes())
        };
        (0..count).map(create).collect()
    }
}

fn word(rng: &mut Rng) -> Vec<u8> {
    const WORDS: &[&[u8]] = &[
        b"ruok",
        b"srvr",
        b"isro",
        b"wchs",
        b"mntr",
        b"dump",
        b"conf",
        b"srvr",
        b"wchs",
        b"mntr",
        b"dump",
        b"stat",
        b"RUOK",
        b"xxxx",
        b"gtmk",
        b"ruok\n",
        b"srvr\r\n",
    ];
    rng.pick(WORDS).to_vec()
}

/// Cuts, stretches or spoils a body.
fn bend(rng: &mut Rng, body: &[u8]) -> Vec<u8> {
    let mut out = body.to_vec();
    match rng.below(10) {
        0..4 => out.truncate(rng.below(body.len() + 1)),
        4..7 if body.len() >= 4 => {
            // Lengths and counts stand anywhere; most writes here hit one of the first.
            let span = if rng.percent(50) { body.len().min(12) } else { body.len() };
            let at = rng.below(span - 3);
            let number: i32 =
                rng.pick(&[-1, -2, i32::MIN, i32::MAX, 0, 1, 0x7fff_fff0, 0x000f_ffff, 0x0020_0000, 100_000]);
            out[at..at + 4].copy_from_slice(&number.to_be_bytes());
        }
        7 | 8 if !body.is_empty() => {
            for _ in 0..rng.between(1, 3) {
                let at = rng.below(out.len());
                out[at] = rng.pick(&[0, 1, 0x2f, 0x7f, 0x80, 0xc3, 0xe2, 0xed, 0xa0, 0xff, 0x2e]);
            }
        }
        _ => out.extend((0..rng.between(1, 12)).map(|_| rng.next() as u8)),
    }
    out
}

/// False for bodies that are never sent to a Java server; see the table of differences by design.
fn is_harmless(op: i32, body: &[u8]) -> bool {
    // A four-byte sequence may arise from bent text.
    let supplementary = body.iter().any(|byte| (0xf0..=0xf4).contains(byte))
        && String::from_utf8_lossy(body).chars().any(|c| c as u32 > 0xffff);
    let fatal_ttl = op == 21
        && CreateTtlRequest::decode(&mut Reader::unlimited(body))
            .is_ok_and(|record| !matches!(record.flags, 5 | 6) && record.ttl_ms < 0);
    // A quota whose text cannot be read.
    let quota = body.windows(10).any(|window| window == b"zookeeper_");
    !supplementary && !fatal_ttl && !quota
}

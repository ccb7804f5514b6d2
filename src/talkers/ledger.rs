//! What one reactor counts. The way of a figure: a connection keeps its own tally, which is folded into the sketches of
//! its session, address and identity once a second and when it ends; operations have a counter each; prefixes are
//! counted in a small exact table (`places`) that is emptied into their sketch once a second. So a request costs a few
//! additions and one look-up.

use super::{Cost, Measure, Place, Places, Ranking, Sketch, Summary, Talker, Tally, merged, prefix};
use crate::proto::OpCode;
use crate::proto::session::SessionId;
use std::borrow::Borrow;
use std::hash::Hash;
use std::net::IpAddr;

/// Runs of reads of one turn that share its time; later ones of the turn go without.
const TURN_MAX: usize = 16 << 10;
/// Bytes of an identity that are shown.
const IDENTITY_BYTES_MAX: usize = 128;
/// Every read costs as much time as so many bytes, beside the bytes of its answer.
const READ_WEIGHT: u64 = 512;

/// What the operator decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Time after which what happened counts half, ms.
    pub half_life_ms: i64,
    /// Names of a path that make a prefix.
    pub prefix_depth: usize,
    /// Entries of each sketch: a talker above `1 / capacity` of the load is never missed.
    pub capacity: usize,
}

#[derive(Debug, Clone)]
struct Board<K>([Sketch<K>; 3]);

impl<K: Hash + Eq + Clone> Board<K> {
    fn new(capacity: usize) -> Self {
        Board(Measure::ALL.map(|measure| Sketch::new(measure, capacity)))
    }

    fn add<Q>(&mut self, key: &Q, tally: Tally)
    where
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
        K: Borrow<Q>,
    {
        self.0.iter_mut().for_each(|sketch| sketch.add(key, tally.into()));
    }

    fn decay(&mut self, factor: f64) {
        self.0.iter_mut().for_each(|sketch| sketch.decay(factor));
    }
}

/// Reads of a turn that came one behind the other and count for the same.
#[derive(Debug, Clone, Copy)]
struct TurnRead {
    connection: u64,
    operation: usize,
    prefix: Option<Place>,
    weight: u64,
}

/// The ledger of a reactor.
#[derive(Debug, Clone)]
pub struct Ledger {
    settings: Settings,
    sessions: Board<SessionId>,
    addresses: Board<IpAddr>,
    identities: Board<String>,
    prefixes: Board<String>,
    operations: [(Tally, Cost); SLOTS],
    places: Places,
    turn: Vec<TurnRead>,
    since_ms: i64,
    faded_ms: i64,
}

/// Numbers of operations below 0, from 100 and from 20,001 on are few.
const SLOTS: usize = 36;

/// The counter of an operation; the last one is for numbers that are none.
fn slot(op: OpCode) -> usize {
    match op.0 {
        code @ 0..=22 => code as usize,
        code @ 100..=107 => code as usize - 100 + 23,
        -10 => 31,
        -11 => 32,
        -1 => 33,
        20_001 => 34,
        _ => SLOTS - 1,
    }
}

impl Ledger {
    /// Nothing yet.
    pub fn new(settings: Settings, now_ms: i64) -> Self {
        Ledger {
            settings,
            sessions: Board::new(settings.capacity),
            addresses: Board::new(settings.capacity),
            identities: Board::new(settings.capacity),
            prefixes: Board::new(settings.capacity),
            operations: [(Tally::default(), Cost::default()); SLOTS],
            places: Places::new(settings.prefix_depth),
            turn: Vec::new(),
            since_ms: now_ms,
            faded_ms: now_ms,
        }
    }

    /// A read was executed in this turn; it will be given its share of the turn's time by [`Ledger::settle`].
    pub fn read(&mut self, connection: u64, op: OpCode, path: Option<&[u8]>, bytes: usize) {
        let operation = slot(op);
        let tally = Tally { requests: 1, bytes: bytes as u64, time_us: 0 };
        self.operations[operation].0.add(tally);
        let prefix = path.and_then(|path| self.count_path(path, tally));
        let weight = READ_WEIGHT + bytes as u64;
        let full = self.turn.len() >= TURN_MAX;
        match self.turn.last_mut() {
            Some(run) if (run.connection, run.operation, run.prefix) == (connection, operation, prefix) => {
                run.weight += weight;
            }
            _ if !full => self.turn.push(TurnRead { connection, operation, prefix, weight }),
            _ => {}
        }
    }

    /// A request that is not read from the tree at once has come. Returns where its prefix is counted.
    pub fn came(&mut self, op: OpCode, path: Option<&[u8]>, bytes: usize) -> Option<Place> {
        let tally = Tally { requests: 1, bytes: bytes as u64, time_us: 0 };
        self.operations[slot(op)].0.add(tally);
        path.and_then(|path| self.count_path(path, tally))
    }

    /// As `came`, for a write: its place is kept until it is answered, or abandoned.
    pub fn went(&mut self, op: OpCode, path: Option<&[u8]>, bytes: usize) -> Option<Place> {
        let place = self.came(op, path, bytes)?;
        self.places.hold(place);
        Some(place)
    }

    /// A request that came before was answered.
    pub fn answered(&mut self, op: OpCode, tally: Tally) {
        self.operations[slot(op)].0.add(tally);
    }

    /// As `answered`, for a write, with the place it was given.
    pub fn came_back(&mut self, op: OpCode, place: Option<Place>, tally: Tally) {
        self.answered(op, tally);
        if let Some(place) = place {
            self.places.add(place, tally);
            self.places.release(place);
        }
    }

    /// A write whose answer nobody waits for any more.
    pub fn abandoned(&mut self, place: Place) {
        self.places.release(place);
    }

    /// Returns the place of the path's prefix; none for bytes that are no path, and when writes in flight hold all places.
    fn count_path(&mut self, path: &[u8], tally: Tally) -> Option<Place> {
        let mut place = self.places.of(path);
        if place.is_none() {
            let prefix = prefix(std::str::from_utf8(path).ok()?, self.settings.prefix_depth);
            self.empty_places();
            place = self.places.of(path);
            if place.is_none() {
                self.prefixes.add(prefix, tally);
            }
        }
        self.places.add(place?, tally);
        place
    }

    fn empty_places(&mut self) {
        self.places.drain(|prefix, tally| self.prefixes.add(prefix, tally));
        // Their places are gone: prefixes lose the time of the turn's reads up to here, nobody else does.
        self.turn.iter_mut().for_each(|read| read.prefix = None);
    }

    /// A turn took `spent_us`: its reads share it, by what they answered. `share` is told of each connection's part.
    pub fn settle(&mut self, spent_us: u64, mut share: impl FnMut(u64, u64)) {
        let total: u64 = self.turn.iter().map(|read| read.weight).sum();
        let (mut weight, mut given) = (0, 0);
        for read in &self.turn {
            weight += read.weight;
            // Up to here, so that the parts sum up to the whole.
            let due = match spent_us.checked_mul(weight) {
                Some(product) => product / total.max(1),
                None => (u128::from(spent_us) * u128::from(weight) / u128::from(total.max(1))) as u64,
            };
            let time_us = due - given;
            given = due;
            self.operations[read.operation].0.time_us += time_us;
            if let Some(place) = read.prefix {
                self.places.add(place, Tally { time_us, ..Tally::default() });
            }
            share(read.connection, time_us);
        }
        self.turn.clear();
    }

    /// What a connection cost since it was folded in last.
    pub fn fold(&mut self, session: Option<SessionId>, address: IpAddr, identity: &str, tally: Tally) {
        if let Some(session) = session {
            self.sessions.add(&session, tally);
        }
        self.addresses.add(&address, tally);
        let end = (0..=identity.len().min(IDENTITY_BYTES_MAX)).rev().find(|end| identity.is_char_boundary(*end));
        self.identities.add(&identity[..end.unwrap_or(0)], tally);
    }

    /// Lets the past fade. To be called about once a second, before connections are folded in.
    pub fn fade(&mut self, now_ms: i64) {
        let passed = (now_ms - self.faded_ms).max(0) as f64;
        self.faded_ms = now_ms;
        let factor = 0.5f64.powf(passed / self.settings.half_life_ms.max(1) as f64);
        self.sessions.decay(factor);
        self.addresses.decay(factor);
        self.identities.decay(factor);
        self.prefixes.decay(factor);
        self.empty_places();
        for (tally, cost) in &mut self.operations {
            cost.scale(factor);
            cost.add(std::mem::take(tally).into());
        }
    }

    /// Seconds of an even load that weigh as much as what is in the ledger.
    fn window_s(&self) -> f64 {
        let half_life_s = self.settings.half_life_ms.max(1) as f64 / 1e3;
        let age_s = (self.faded_ms - self.since_ms) as f64 / 1e3;
        (half_life_s / std::f64::consts::LN_2 * (1.0 - 0.5f64.powf(age_s / half_life_s))).max(1.0)
    }
}

impl Tally {
    /// Adds another.
    pub fn add(&mut self, other: Tally) {
        self.requests += other.requests;
        self.bytes += other.bytes;
        self.time_us += other.time_us;
    }
}

impl Summary {
    /// What the reactors' ledgers say together: the `top` heaviest of each dimension.
    pub fn of(ledgers: &[Ledger], top: usize) -> Summary {
        let Some(first) = ledgers.first() else { return Summary::default() };
        let window_s = first.window_s();
        Summary {
            half_life_ms: first.settings.half_life_ms,
            sessions: ranking(ledgers, top, window_s, |ledger| &ledger.sessions),
            addresses: ranking(ledgers, top, window_s, |ledger| &ledger.addresses),
            identities: ranking(ledgers, top, window_s, |ledger| &ledger.identities),
            prefixes: ranking(ledgers, top, window_s, |ledger| &ledger.prefixes),
            operations: operations(ledgers, window_s),
        }
    }
}

fn ranking<K: Hash + Eq + Clone>(
    ledgers: &[Ledger],
    top: usize,
    window_s: f64,
    board: impl Fn(&Ledger) -> &Board<K>,
) -> Ranking<K> {
    let rank = |measure: Measure| {
        let entries = merged(ledgers.iter().map(|ledger| &board(ledger).0[measure as usize]));
        let talker = |entry: super::Entry<K>| {
            let mut rate = entry.cost;
            *rate.of_mut(measure) = entry.most;
            rate.scale(1.0 / window_s);
            Talker { key: entry.key, rate, error: entry.error.max(0.0) / window_s }
        };
        entries.into_iter().take(top).map(talker).collect()
    };
    Ranking { by: Measure::ALL.map(rank) }
}

fn operations(ledgers: &[Ledger], window_s: f64) -> Ranking<OpCode> {
    let rank = |measure: Measure| {
        let mut talkers: Vec<_> = OpCode::ALL
            .iter()
            .map(|op| {
                let mut rate = Cost::default();
                ledgers.iter().for_each(|ledger| rate.add(ledger.operations[slot(*op)].1));
                rate.scale(1.0 / window_s);
                Talker { key: *op, rate, error: 0.0 }
            })
            .filter(|talker| talker.rate.of(measure) > 0.0)
            .collect();
        talkers.sort_by(|a, b| b.rate.of(measure).total_cmp(&a.rate.of(measure)));
        talkers
    };
    Ranking { by: Measure::ALL.map(rank) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SETTINGS: Settings = Settings { half_life_ms: 60_000, prefix_depth: 2, capacity: 64 };
    const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn names(ranking: &[Talker<String>]) -> Vec<&str> {
        ranking.iter().map(|talker| talker.key.as_str()).collect()
    }

    #[test]
    fn operations_have_a_counter_each() {
        let mut slots: Vec<_> = OpCode::ALL.iter().map(|op| slot(*op)).collect();
        slots.push(slot(OpCode(4711)));
        let all = slots.len();
        slots.sort_unstable();
        slots.dedup();
        assert_eq!(slots.len(), all);
        assert!(slots.iter().all(|slot| *slot < SLOTS));
    }

    #[test]
    fn each_measure_has_its_own_order() {
        let mut ledger = Ledger::new(SETTINGS, 0);
        let mut wrote = |op, path: &str, times: u64, bytes: u64, time_us| {
            let places: Vec<_> = (0..times).map(|_| ledger.went(op, Some(path.as_bytes()), 0)).collect();
            // The answers come after the places were emptied.
            ledger.fade(0);
            for place in places {
                ledger.came_back(op, place, Tally { requests: 0, bytes: bytes / times, time_us: time_us / times });
            }
        };
        wrote(OpCode::SET_DATA, "/many/x", 10, 10, 10);
        wrote(OpCode::CREATE, "/large/x", 1, 1_000, 1);
        wrote(OpCode::DELETE, "/slow/x", 2, 20, 900);
        ledger.fade(0);
        let summary = Summary::of(&[ledger], 10);
        let orders = summary.prefixes.by.each_ref().map(|ranking| names(ranking));
        assert_eq!(orders, [["/many", "/slow", "/large"], ["/large", "/slow", "/many"], ["/slow", "/many", "/large"]]);
        let first = |measure: Measure| summary.operations.by[measure as usize][0].key;
        assert_eq!(Measure::ALL.map(first), [OpCode::SET_DATA, OpCode::CREATE, OpCode::DELETE]);
        let many = &summary.prefixes.by[0][0];
        assert_eq!((many.rate, many.error), (Cost { requests: 10.0, bytes: 10.0, time_us: 10.0 }, 0.0));
    }

    #[test]
    fn reads_share_the_time_of_their_turn_and_lose_none_of_it() {
        let mut ledger = Ledger::new(SETTINGS, 0);
        let mut shares = [0; 3];
        ledger.read(1, OpCode::GET_DATA, Some(b"/a/x"), 488);
        ledger.read(2, OpCode::GET_CHILDREN, Some(b"/b/x"), 10_000 - 512);
        ledger.read(1, OpCode::PING, None, 500);
        ledger.settle(1_201, |connection, us| shares[connection as usize] += us);
        assert_eq!(shares.iter().sum::<u64>(), 1_201);
        assert!(shares[2] > 950 && shares[2] < 1_050, "{shares:?}");
        ledger.settle(5_000, |_, _| panic!("the next turn has no reads"));
        ledger.fade(0);
        let summary = Summary::of(&[ledger], 10);
        assert_eq!(names(&summary.prefixes.by[2]), ["/b", "/a"]);
    }

    #[test]
    fn the_past_fades_and_rates_are_those_of_an_even_load() {
        let mut ledger = Ledger::new(SETTINGS, 0);
        for second in 1..=600 {
            ledger.fade(second * 1_000);
            ledger.fold(Some(7), ADDRESS, "digest:bob", Tally { requests: 100, bytes: 5_000, time_us: 50 });
            if second == 60 || second == 600 {
                let rate = Summary::of(&[ledger.clone()], 1).sessions.by[0][0].rate;
                assert!((rate.requests - 100.0).abs() < 3.0, "after {second} s: {rate:?}");
                assert!((rate.bytes - 5_000.0).abs() < 150.0, "after {second} s: {rate:?}");
            }
        }
        ledger.fade(660_000);
        let summary = Summary::of(&[ledger], 1);
        let rate = summary.sessions.by[0][0].rate.requests;
        assert!((rate - 50.0).abs() < 2.0, "after a silent half-life: {rate}");
        assert_eq!(names(&summary.identities.by[0]), ["digest:bob"]);
        assert_eq!(summary.addresses.by[0][0].key, ADDRESS);
    }

    #[test]
    fn bounded_more_prefixes_than_fit_keep_the_heavy_one() {
        let mut ledger = Ledger::new(SETTINGS, 0);
        for number in 0..20_000 {
            ledger.read(1, OpCode::GET_DATA, Some(format!("/{number}/x/y").as_bytes()), 10);
            ledger.read(1, OpCode::GET_DATA, Some(b"/heavy/x/y"), 10);
            if number % 3 == 0 {
                ledger.settle(1, |_, _| {});
            }
        }
        ledger.fade(0);
        let summary = Summary::of(&[ledger], 5);
        assert_eq!(summary.prefixes.by[0][0].key, "/heavy/x");
        assert_eq!(summary.prefixes.by[0].len(), 5);
    }

    proptest! {
        #[test]
        fn a_run_of_reads_counts_where_each_alone_would(
            paths in proptest::collection::vec("(/[ab]{1,2}){1,4}|/", 1..60), prefix_depth in 1..4usize,
        ) {
            let mut ledger = Ledger::new(Settings { prefix_depth, ..SETTINGS }, 0);
            let mut exact = std::collections::BTreeMap::<&str, f64>::new();
            for path in &paths {
                ledger.read(1, OpCode::GET_DATA, Some(path.as_bytes()), 1);
                *exact.entry(prefix(path, prefix_depth)).or_default() += 1.0;
            }
            ledger.fade(0);
            let summary = Summary::of(&[ledger], 100);
            let counted = summary.prefixes.by[0].iter().map(|talker| (talker.key.as_str(), talker.rate.requests));
            prop_assert_eq!(counted.collect::<std::collections::BTreeMap<_, _>>(), exact);
        }
    }

    #[test]
    fn reactors_are_put_together() {
        let mut ledgers = [0; 2].map(|now_ms| Ledger::new(SETTINGS, now_ms));
        for (ledger, requests) in ledgers.iter_mut().zip([3, 4]) {
            ledger.fold(
                Some(requests),
                ADDRESS,
                "world:anyone",
                Tally { requests: requests as u64, ..Tally::default() },
            );
        }
        let summary = Summary::of(&ledgers, 10);
        assert_eq!(summary.addresses.by[0][0].rate.requests, 7.0);
        assert_eq!(summary.sessions.by[0].iter().map(|talker| talker.key).collect::<Vec<_>>(), [4, 3]);
    }
}

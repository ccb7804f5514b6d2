//! Rules for when the server slows clients down or turns them away: new sessions, requests at the entry, large requests,
//! reading from busy connections, repeated log lines.
//! Pure decisions: time, chance and counts are handed in; knows no sockets, queues or settings' names.
//! The counts live with the server and its reactors.

use crate::proto::OpCode;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Milliseconds of a clock that never goes back.
pub type Millis = i64;

/// What a ConnectRequest asks for; the kinds may cost different numbers of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionKind {
    /// A new session that the whole ensemble knows.
    Global,
    /// A new session that only this server knows.
    Local,
    /// A session that exists already.
    Renewed,
}

/// Tokens for each kind of session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionWeights {
    global: i32,
    local: i32,
    renewed: i32,
}

impl SessionWeights {
    /// Weights below 1 become the defaults 3, 1 and 2; no other session costs less than a local one.
    pub fn new(global: i32, local: i32, renewed: i32) -> Self {
        let at_least_local = |weight: i32, default: i32| if weight <= 0 { default } else { weight.max(local) };
        SessionWeights {
            global: at_least_local(global, 3),
            local: if local <= 0 { 1 } else { local },
            renewed: at_least_local(renewed, 2),
        }
    }

    fn of(self, kind: SessionKind) -> i32 {
        match kind {
            SessionKind::Global => self.global,
            SessionKind::Local => self.local,
            SessionKind::Renewed => self.renewed,
        }
    }
}

/// Settings of [`ConnectionThrottle`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConnectionThrottleSettings {
    /// Size of the bucket; 0 or less turns the throttle off.
    pub tokens: i32,
    /// Tokens come back in this interval ...
    pub fill_time_ms: i32,
    /// ... this many.
    pub fill_count: i32,
    /// Interval at which the dropping probability moves; -1 turns early dropping off.
    pub freeze_time_ms: i32,
    /// The probability grows by this when the bucket was found empty.
    pub drop_increase: f64,
    /// It shrinks by this when little was missing.
    pub drop_decrease: f64,
    /// "Little" is this share of the bucket.
    pub decrease_ratio: f64,
    /// Set when kinds of sessions cost different numbers of tokens. Bucket and refill are meant for global sessions, so
    /// they grow by that weight.
    pub weights: Option<SessionWeights>,
}

impl Default for ConnectionThrottleSettings {
    fn default() -> Self {
        ConnectionThrottleSettings {
            tokens: 0,
            fill_time_ms: 1,
            fill_count: 1,
            freeze_time_ms: -1,
            drop_increase: 0.02,
            drop_decrease: 0.002,
            decrease_ratio: 0.0,
            weights: None,
        }
    }
}

/// A bucket of tokens for ConnectRequests, with early dropping by chance so that under constant load it is not always
/// the same clients that come too late (`BlueThrottle`).
#[derive(Debug, Clone)]
pub struct ConnectionThrottle {
    settings: ConnectionThrottleSettings,
    capacity: i64,
    tokens: i64,
    filled_at: Millis,
    drop_chance: f64,
    drop_moved_at: Millis,
}

impl ConnectionThrottle {
    /// A full bucket.
    pub fn new(settings: ConnectionThrottleSettings, now: Millis) -> Self {
        let capacity = i64::from(settings.tokens.max(0)) * scale(&settings);
        ConnectionThrottle {
            settings,
            capacity,
            tokens: capacity,
            filled_at: now,
            drop_chance: 0.0,
            drop_moved_at: now,
        }
    }

    /// Whether a session of this kind may begin now. `chance` is a random number from 0 (included) to 1.
    /// A refused connection is closed before any reply.
    pub fn admit(&mut self, kind: SessionKind, now: Millis, chance: f64) -> bool {
        if self.capacity == 0 {
            return true;
        }
        self.refill(now);
        if self.settings.freeze_time_ms != -1 {
            self.move_drop_chance(now);
            if chance < self.drop_chance {
                return false;
            }
        }
        let need = i64::from(self.settings.weights.map_or(1, |weights| weights.of(kind)));
        if self.tokens < need {
            return false;
        }
        self.tokens -= need;
        true
    }

    /// Tokens come back in whole intervals; what is left of the last one is lost, as in the original.
    fn refill(&mut self, now: Millis) {
        let interval = i64::from(self.settings.fill_time_ms.max(1));
        let elapsed = now - self.filled_at;
        if elapsed > interval {
            let count = i64::from(self.settings.fill_count.max(0)) * scale(&self.settings);
            self.tokens = self.tokens.saturating_add(elapsed.saturating_mul(count) / interval).min(self.capacity);
            self.filled_at = now;
        }
    }

    fn move_drop_chance(&mut self, now: Millis) {
        if now - self.drop_moved_at <= i64::from(self.settings.freeze_time_ms) {
            return;
        }
        let little = (self.capacity as f64 * self.settings.decrease_ratio).round() as i64;
        if self.tokens == 0 && self.drop_chance < 1.0 {
            self.drop_chance = (self.drop_chance + self.settings.drop_increase).min(1.0);
        } else if self.deficit() <= little {
            self.drop_chance = (self.drop_chance - self.settings.drop_decrease).max(0.0);
        }
        self.drop_moved_at = now;
    }

    /// Tokens that are missing in the bucket; the metric `connection_token_deficit`.
    pub fn deficit(&self) -> i64 {
        self.capacity - self.tokens
    }

    /// The probability of early dropping; the metric `connection_drop_probability`.
    pub fn drop_chance(&self) -> f64 {
        self.drop_chance
    }
}

fn scale(settings: &ConnectionThrottleSettings) -> i64 {
    settings.weights.map_or(1, |weights| i64::from(weights.global))
}

/// Settings of the entry of the request pipeline (`RequestThrottler`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestThrottle {
    /// Requests in process from which on further ones wait at the entry; 0 lets all in.
    pub max_requests: i32,
    /// How long the entry waits before it looks again, if nothing wakes it.
    pub stall_time_ms: Millis,
    /// Whether stale requests are dropped, with their connection.
    pub drop_stale: bool,
    /// A request is stale when its connection is gone.
    pub stale_connection_check: bool,
    /// A request is stale when it is older than its session timeout.
    pub stale_latency_check: bool,
    /// A request that waited longer than this is answered `THROTTLED_OP`; 0 never is.
    pub throttled_op_wait_ms: Millis,
}

impl Default for RequestThrottle {
    fn default() -> Self {
        RequestThrottle {
            max_requests: 0,
            stall_time_ms: 100,
            drop_stale: true,
            stale_connection_check: true,
            stale_latency_check: false,
            throttled_op_wait_ms: 0,
        }
    }
}

/// A request at the entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitingRequest {
    /// Operation.
    pub op: OpCode,
    /// When it was read from the socket.
    pub created_at: Millis,
    /// When it came to the entry.
    pub entered_at: Millis,
    /// Timeout of its session.
    pub session_timeout_ms: Millis,
    /// Its connection is closed.
    pub connection_gone: bool,
    /// An earlier request of its connection was dropped: order demands that this one is dropped too.
    pub follows_dropped: bool,
}

/// What the entry does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// Into the pipeline.
    Submit,
    /// Into the pipeline, to be answered `THROTTLED_OP` in its turn.
    SubmitThrottled,
    /// Too much is in process: wait for one to finish, at most the stall time.
    Stall,
    /// Forget it and close its connection.
    Drop,
}

impl RequestThrottle {
    /// Decides about the first request at the entry.
    pub fn decide(&self, request: &WaitingRequest, in_process: usize, now: Millis) -> Entry {
        if request.follows_dropped {
            return Entry::Drop;
        }
        let limit = usize::try_from(self.max_requests).unwrap_or(0);
        if limit > 0 {
            if self.drop_stale && self.is_stale(request, now) {
                return Entry::Drop;
            }
            if in_process >= limit {
                return Entry::Stall;
            }
        }
        let waited = now - request.entered_at;
        let too_long = self.throttled_op_wait_ms > 0 && waited > self.throttled_op_wait_ms;
        if too_long && is_throttlable(request.op) { Entry::SubmitThrottled } else { Entry::Submit }
    }

    /// Whether nobody waits for the answer any more. Closing a session outlives its connection.
    pub fn is_stale(&self, request: &WaitingRequest, now: Millis) -> bool {
        let too_old = now - request.created_at > request.session_timeout_ms;
        request.op != OpCode::CLOSE_SESSION
            && ((self.stale_connection_check && request.connection_gone) || (self.stale_latency_check && too_old))
    }
}

fn is_throttlable(op: OpCode) -> bool {
    !matches!(op, OpCode::PING | OpCode::CREATE_SESSION | OpCode::CLOSE_SESSION)
}

/// Bounds the bytes of all large requests in work.
#[derive(Debug)]
pub struct LargeRequests {
    /// Longer requests are large; `None` counts none.
    threshold: Option<usize>,
    bytes_max: usize,
    /// A sum that all reactors share. It orders no other memory.
    bytes: AtomicUsize,
}

/// Bytes that a request took of the bound, to be given back when it is finished.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a charge that is not released lowers the bound for ever"]
pub struct LargeCharge(usize);

/// The bound is reached; the connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("rejecting a large request of {length} bytes, {in_work} bytes of large requests are in work")]
pub struct TooManyLargeRequests {
    /// Length of the request.
    pub length: usize,
    /// What the requests before it take.
    pub in_work: usize,
}

impl LargeRequests {
    /// Default of the bound.
    pub const BYTES_MAX: i32 = 100 << 20;

    /// Takes the settings as they are written: a threshold below 1 counts nothing, a bound below 1 is the default.
    pub fn new(threshold: i32, bytes_max: i32) -> Self {
        let bytes_max = if bytes_max <= 0 { Self::BYTES_MAX } else { bytes_max };
        LargeRequests {
            threshold: usize::try_from(threshold).ok().filter(|threshold| *threshold > 0),
            bytes_max: bytes_max as usize,
            bytes: AtomicUsize::new(0),
        }
    }

    fn is_large(&self, length: usize) -> bool {
        self.threshold.is_some_and(|threshold| length > threshold)
    }

    /// To be asked when only the length of a request is known, before its bytes are read.
    pub fn check(&self, length: usize) -> Result<(), TooManyLargeRequests> {
        let in_work = self.bytes.load(Ordering::Relaxed);
        if self.is_large(length) && length.saturating_add(in_work) > self.bytes_max {
            return Err(TooManyLargeRequests { length, in_work });
        }
        Ok(())
    }

    /// To be asked when a request has been read. A small request takes nothing.
    pub fn charge(&self, length: usize) -> Result<LargeCharge, TooManyLargeRequests> {
        if !self.is_large(length) {
            return Ok(LargeCharge(0));
        }
        let add = |bytes: usize| bytes.checked_add(length).filter(|sum| *sum <= self.bytes_max);
        match self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add) {
            Ok(_) => Ok(LargeCharge(length)),
            Err(in_work) => Err(TooManyLargeRequests { length, in_work }),
        }
    }

    /// Gives back what a finished request took.
    pub fn release(&self, charge: LargeCharge) {
        self.bytes.fetch_sub(charge.0, Ordering::Relaxed);
    }

    /// Bytes of large requests in work.
    pub fn bytes_in_work(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// Whether a connection is not read for now (`ZooKeeperServer.shouldThrottle`): more than `limit` requests are in work
/// or queued at the entry, and this connection has one among them. So each connection may always send one.
/// Only requests with an xid above 0 count as outstanding.
pub fn pauses_reading(limit: i32, queued: usize, in_process: usize, outstanding: usize) -> bool {
    let over = |count: usize| i64::from(limit) < i64::try_from(count).unwrap_or(i64::MAX);
    outstanding > 0 && (over(queued) || over(in_process))
}

/// Lets a log line through once in an interval and counts the rest.
#[derive(Debug, Clone)]
pub struct LogLimiter {
    interval_ms: Millis,
    last: Option<Millis>,
    withheld: u64,
}

impl LogLimiter {
    /// One line in each interval.
    pub const fn new(interval_ms: Millis) -> Self {
        LogLimiter { interval_ms, last: None, withheld: 0 }
    }

    /// `Some` when the line may be written, with the number of lines withheld since the last one.
    pub fn pass(&mut self, now: Millis) -> Option<u64> {
        if self.last.is_some_and(|last| now - last < self.interval_ms) {
            self.withheld += 1;
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.withheld))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bucket(tokens: i32) -> ConnectionThrottleSettings {
        ConnectionThrottleSettings { tokens, fill_time_ms: 10, fill_count: 2, ..Default::default() }
    }

    fn admitted(throttle: &mut ConnectionThrottle, times: usize, now: Millis) -> usize {
        (0..times).filter(|_| throttle.admit(SessionKind::Global, now, 0.0)).count()
    }

    #[test]
    fn no_tokens_configured_is_no_throttle() {
        for tokens in [0, -1] {
            let mut throttle = ConnectionThrottle::new(bucket(tokens), 0);
            assert_eq!(admitted(&mut throttle, 1_000, 0), 1_000);
        }
    }

    #[test]
    fn a_burst_is_as_large_as_the_bucket() {
        let mut throttle = ConnectionThrottle::new(bucket(5), 0);
        assert_eq!(admitted(&mut throttle, 20, 0), 5);
        assert_eq!(throttle.deficit(), 5);
    }

    #[test]
    fn tokens_come_back_after_more_than_an_interval_and_never_beyond_the_bucket() {
        let mut throttle = ConnectionThrottle::new(bucket(5), 0);
        admitted(&mut throttle, 5, 0);
        assert_eq!(admitted(&mut throttle, 20, 10), 0, "exactly one interval is not yet enough");
        assert_eq!(admitted(&mut throttle, 20, 11), 2);
        assert_eq!(admitted(&mut throttle, 20, 27), 3, "16 ms are 3.2 tokens");
        assert_eq!(admitted(&mut throttle, 20, 1_000_000), 5);
    }

    #[test]
    fn extreme_settings_do_not_overflow() {
        let settings = ConnectionThrottleSettings {
            tokens: i32::MAX,
            fill_time_ms: i32::MIN,
            fill_count: i32::MAX,
            weights: Some(SessionWeights::new(i32::MAX, i32::MAX, i32::MAX)),
            ..Default::default()
        };
        let mut throttle = ConnectionThrottle::new(settings, 0);
        assert!(throttle.admit(SessionKind::Global, i64::MAX, 0.0));
    }

    #[test]
    fn an_empty_bucket_raises_the_drop_chance_and_a_full_one_lowers_it() {
        let settings = ConnectionThrottleSettings {
            freeze_time_ms: 100,
            drop_increase: 0.4,
            drop_decrease: 0.3,
            fill_time_ms: 1_000_000,
            ..bucket(1)
        };
        let mut throttle = ConnectionThrottle::new(settings, 0);
        assert!(throttle.admit(SessionKind::Global, 0, 0.0), "a chance of 0 drops nobody");
        for (now, expected) in [(100, 0.0), (101, 0.4), (150, 0.4), (202, 0.8), (303, 1.0), (404, 1.0)] {
            throttle.admit(SessionKind::Global, now, 0.999);
            assert_eq!(throttle.drop_chance(), expected, "at {now}");
        }
        let full_again = 2_000_000;
        assert!(!throttle.admit(SessionKind::Global, full_again, 0.69), "0.7 of the connections are dropped");
        assert!((throttle.drop_chance() - 0.7).abs() < 1e-9);
        assert!(throttle.admit(SessionKind::Global, full_again, 0.71));
    }

    #[test]
    fn the_decrease_ratio_says_how_many_tokens_may_be_missing() {
        for (ratio, lowered) in [(0.0, false), (0.24, false), (0.5, true)] {
            let settings = ConnectionThrottleSettings {
                freeze_time_ms: 0,
                drop_increase: 0.5,
                drop_decrease: 0.5,
                decrease_ratio: ratio,
                fill_time_ms: 10,
                fill_count: 1,
                ..bucket(2)
            };
            let mut throttle = ConnectionThrottle::new(settings, 0);
            admitted(&mut throttle, 2, 0);
            throttle.admit(SessionKind::Global, 1, 0.9);
            assert_eq!(throttle.drop_chance(), 0.5);
            throttle.admit(SessionKind::Global, 12, 0.9);
            assert_eq!(throttle.drop_chance() == 0.0, lowered, "one of two tokens is missing, ratio {ratio}");
        }
    }

    #[test]
    fn kinds_of_sessions_cost_their_weight_of_a_bucket_that_is_weighed_too() {
        let settings = ConnectionThrottleSettings { weights: Some(SessionWeights::new(3, 1, 2)), ..bucket(2) };
        let mut throttle = ConnectionThrottle::new(settings, 0);
        let mut cost = |kind| {
            let before = throttle.deficit();
            assert!(throttle.admit(kind, 0, 0.0));
            throttle.deficit() - before
        };
        let costs = [SessionKind::Global, SessionKind::Renewed, SessionKind::Local].map(&mut cost);
        assert_eq!(costs, [3, 2, 1]);
        assert_eq!(throttle.deficit(), 6, "2 tokens of weight 3");
        assert!(!throttle.admit(SessionKind::Local, 0, 0.0));
        assert_eq!((0..20).filter(|_| throttle.admit(SessionKind::Local, 11, 0.0)).count(), 6, "6.6 came back, 6 fit");
    }

    #[test]
    fn weights_are_put_right() {
        let weights = |global, local, renewed| {
            let weights = SessionWeights::new(global, local, renewed);
            (weights.global, weights.local, weights.renewed)
        };
        assert_eq!(weights(3, 1, 2), (3, 1, 2));
        assert_eq!(weights(0, 0, 0), (3, 1, 2));
        assert_eq!(weights(-1, 5, -1), (3, 5, 2), "a default stays below the local weight, as in the original");
        assert_eq!(weights(2, 5, 3), (5, 5, 5));
    }

    fn waiting(op: OpCode) -> WaitingRequest {
        WaitingRequest {
            op,
            created_at: 0,
            entered_at: 5,
            session_timeout_ms: 1_000,
            connection_gone: false,
            follows_dropped: false,
        }
    }

    #[test]
    fn the_entry_is_open_without_settings() {
        let request = WaitingRequest { connection_gone: true, ..waiting(OpCode::GET_DATA) };
        assert_eq!(RequestThrottle::default().decide(&request, usize::MAX, i64::MAX), Entry::Submit);
    }

    #[test]
    fn the_entry_stalls_at_the_limit() {
        let throttle = RequestThrottle { max_requests: 10, ..Default::default() };
        let request = waiting(OpCode::GET_DATA);
        assert_eq!(throttle.decide(&request, 9, 6), Entry::Submit);
        assert_eq!(throttle.decide(&request, 10, 6), Entry::Stall);
    }

    #[test]
    fn stale_requests_are_dropped_at_the_entry() {
        let throttle = RequestThrottle { max_requests: 10, stale_latency_check: true, ..Default::default() };
        let gone = WaitingRequest { connection_gone: true, ..waiting(OpCode::GET_DATA) };
        assert_eq!(throttle.decide(&gone, 0, 6), Entry::Drop);
        assert_eq!(throttle.decide(&waiting(OpCode::GET_DATA), 0, 1_000), Entry::Submit);
        assert_eq!(throttle.decide(&waiting(OpCode::GET_DATA), 0, 1_001), Entry::Drop);
        let closing = WaitingRequest { connection_gone: true, ..waiting(OpCode::CLOSE_SESSION) };
        assert_eq!(throttle.decide(&closing, 0, 5_000), Entry::Submit, "closing outlives its connection");

        let keep = RequestThrottle { drop_stale: false, ..throttle };
        assert_eq!(keep.decide(&gone, 0, 6), Entry::Submit);
        let blind = RequestThrottle { stale_connection_check: false, stale_latency_check: false, ..throttle };
        assert_eq!(blind.decide(&gone, 0, 5_000), Entry::Submit);
    }

    #[test]
    fn a_request_behind_a_dropped_one_is_dropped_whatever_is_set() {
        let request = WaitingRequest { follows_dropped: true, ..waiting(OpCode::GET_DATA) };
        assert_eq!(RequestThrottle::default().decide(&request, 0, 6), Entry::Drop);
    }

    #[test]
    fn who_waited_too_long_is_answered_with_throttled_op() {
        let throttle = RequestThrottle { throttled_op_wait_ms: 100, ..Default::default() };
        assert_eq!(throttle.decide(&waiting(OpCode::GET_DATA), 0, 105), Entry::Submit);
        assert_eq!(throttle.decide(&waiting(OpCode::GET_DATA), 0, 106), Entry::SubmitThrottled);
        for op in [OpCode::PING, OpCode::CREATE_SESSION, OpCode::CLOSE_SESSION] {
            assert_eq!(throttle.decide(&waiting(op), 0, 106), Entry::Submit, "{op}");
        }
    }

    #[test]
    fn large_requests_share_a_bound() {
        let large = LargeRequests::new(100, 1_000);
        let first = large.charge(600).unwrap();
        assert_eq!(large.check(500), Err(TooManyLargeRequests { length: 500, in_work: 600 }));
        assert_eq!(large.charge(500), Err(TooManyLargeRequests { length: 500, in_work: 600 }));
        assert_eq!(large.check(100), Ok(()), "small ones always pass");
        let small = large.charge(100).unwrap();
        let second = large.charge(400).unwrap();
        assert_eq!(large.bytes_in_work(), 1_000);
        for charge in [first, small, second] {
            large.release(charge);
        }
        assert_eq!(large.bytes_in_work(), 0);
        assert!(large.charge(usize::MAX).is_err());
    }

    #[test]
    fn large_request_settings_out_of_range_are_the_defaults() {
        for threshold in [-1, 0, -5] {
            let large = LargeRequests::new(threshold, 1);
            assert_eq!(large.check(usize::MAX), Ok(()), "{threshold}");
        }
        let large = LargeRequests::new(1, 0);
        assert_eq!(large.check(100 << 20), Ok(()));
        assert!(large.check((100 << 20) + 1).is_err());
    }

    #[test]
    fn a_busy_connection_pauses_only_above_the_limit() {
        assert!(!pauses_reading(10, 10, 10, 5));
        assert!(pauses_reading(10, 11, 0, 1));
        assert!(pauses_reading(10, 0, 11, 1));
        assert!(!pauses_reading(10, 11, 11, 0), "each connection may send one");
        assert!(pauses_reading(-1, 0, 0, 1));
        assert!(pauses_reading(i32::MAX, usize::MAX, 0, 1));
    }

    #[test]
    fn log_lines_are_counted_while_withheld() {
        let mut limiter = LogLimiter::new(100);
        assert_eq!(
            [0, 50, 99, 100, 150, 500].map(|now| limiter.pass(now)),
            [Some(0), None, None, Some(2), None, Some(1)]
        );
    }

    proptest! {
        #[test]
        fn never_more_sessions_than_bucket_and_refill(
            tokens in 1..50i32, fill_time_ms in 1..20i32, fill_count in 0..5i32, steps in proptest::collection::vec(0..30i64, 1..100),
        ) {
            let settings = ConnectionThrottleSettings { tokens, fill_time_ms, fill_count, ..Default::default() };
            let mut throttle = ConnectionThrottle::new(settings, 0);
            let (mut now, mut sessions) = (0, 0i64);
            for step in steps {
                now += step;
                sessions += i64::from(throttle.admit(SessionKind::Global, now, 0.5));
                prop_assert!(sessions <= i64::from(tokens) + now * i64::from(fill_count) / i64::from(fill_time_ms));
                prop_assert!((0..=i64::from(tokens)).contains(&throttle.deficit()));
            }
        }
    }
}

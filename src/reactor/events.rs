//! Watch events: who is told of a change, in the order of the changes (WATCH-1). Knows connections and their output; which
//! connections watch a path is known to `watches`.

use super::connection::State;
use super::read::{event, put_event};
use super::{Number, OUTPUT_HARD_MAX, Reactor, Turn};
use crate::metrics::{self, Summary};
use crate::proto::Zxid;
use crate::tree::{Audience, Change, ChangeKind};

impl Reactor {
    /// Tells the watchers of one change: of the node, then of its parent's children, each only if it may read.
    pub(super) fn notify(&mut self, change: &Change, turn: &mut Turn) {
        if self.watches.is_empty() {
            return;
        }
        let mut told = std::mem::take(&mut self.told);
        let (kind, counted) = match change.kind {
            ChangeKind::Created => (event::CREATED, metrics::NODE_CREATED_WATCH_COUNT),
            ChangeKind::Deleted => (event::DELETED, metrics::NODE_DELETED_WATCH_COUNT),
            ChangeKind::DataSet => (event::DATA_CHANGED, metrics::NODE_CHANGED_WATCH_COUNT),
        };
        let mut frame = Vec::new();
        let path: &str = if change.path.is_empty() { "/" } else { &change.path };
        self.watches.trigger_data(path, &mut told);
        self.count_triggered(counted, &told);
        self.tell(&told, change.zxid, kind, path, &change.audience, &mut frame, turn);
        if change.kind == ChangeKind::Deleted {
            let already = std::mem::take(&mut told);
            self.watches.trigger_child(path, &mut told);
            self.count_triggered(counted, &told);
            told.retain(|number| already.binary_search(number).is_err());
            self.tell(&told, change.zxid, kind, path, &change.audience, &mut frame, turn);
        }
        if change.kind != ChangeKind::DataSet
            && let Some((parent, _)) = path.rsplit_once('/')
        {
            let parent = if parent.is_empty() { "/" } else { parent };
            self.watches.trigger_child(parent, &mut told);
            self.count_triggered(metrics::NODE_CHILDREN_WATCH_COUNT, &told);
            frame.clear();
            self.tell(&told, change.zxid, event::CHILDREN_CHANGED, parent, &change.parent_audience, &mut frame, turn);
        }
        self.told = told;
    }

    /// How many watchers one change found, if any (`WatchManager.triggerWatch`).
    fn count_triggered(&mut self, summary: Summary, told: &[Number]) {
        if !told.is_empty() {
            self.readings.record(summary, told.len() as i64);
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn tell(
        &mut self,
        told: &[Number],
        zxid: Zxid,
        kind: i32,
        path: &str,
        audience: &Audience,
        frame: &mut Vec<u8>,
        turn: &mut Turn,
    ) {
        if told.is_empty() {
            return;
        }
        if frame.is_empty() {
            put_event(frame, zxid.0, kind, path);
        }
        for number in told {
            let Some(connection) = self.connections.get_mut(number) else { continue };
            let list = match audience {
                Audience::Everyone => None,
                Audience::List(list) => Some(&**list),
            };
            if !self.settings.policy.permits(list, crate::proto::acl::READ, &connection.identities) {
                continue;
            }
            connection.output.extend_from_slice(frame);
            connection.tally.bytes += frame.len() as u64;
            connection.stats.sent += 1;
            self.stats.sent += 1;
            let now_ms = connection.stats.last_response_ms;
            super::counts::count_event(&mut self.readings, &mut self.stats, frame, now_ms);
            turn.flush.push(*number);
            if connection.output.len() > OUTPUT_HARD_MAX {
                tracing::warn!(peer = %connection.remote, waiting = connection.output.len(), "closing: the client does not read its watch events");
                connection.output = Vec::new();
                connection.state = State::Closing;
                turn.close.push(*number);
            }
        }
    }
}

//! The faults: who suffers, what, and for how long.

use super::process::{Death, Role};
use super::world::{Event, Fault, World};
use crate::store::sim_disk::Faults as DiskFaults;
use rand::Rng;

/// How many kinds of faults [`World::strike`] knows.
pub const KINDS: u32 = 18;

impl World {
    /// A server to suffer: often the one that leads.
    fn victim(&mut self) -> usize {
        let leader = self
            .nodes
            .iter()
            .position(|node| node.process.as_ref().is_some_and(|p| matches!(p.role, Role::Leading(_))));
        match leader {
            Some(leader) if self.chance(0.4) => leader,
            _ => self.range(0, self.nodes.len() as i64) as usize,
        }
    }

    fn part(&mut self, from: usize, to: usize, until: i64) {
        if from != to && self.cut.insert((from, to)) {
            self.at(until, Event::Heal(from, to));
        }
    }

    pub fn strike(&mut self) {
        let kind = self.range(0, self.plan.kinds.len() as i64) as usize;
        let kind = self.plan.kinds[kind];
        let n = self.victim();
        let count = self.nodes.len();
        let until = self.now + self.range(100, 2500);
        match kind {
            0 => self.kill(n, Death::Kill),
            1 => self.kill(n, Death::Power),
            2 | 3 => {
                let death = if self.chance(0.5) { Death::Kill } else { Death::Power };
                let left = self.range(0, 40) as u32;
                self.nodes[n].dies_in = Some((left, death));
            }
            4 => {
                let calls = self.range(0, 30) as u64;
                self.nodes[n].disk.burn_fuse(calls);
                self.count(Fault::PowerInDiskCall);
            }
            5 | 6 => {
                let ids: Vec<u64> = self.wires.keys().copied().collect();
                if !ids.is_empty() {
                    let id = ids[self.range(0, ids.len() as i64) as usize];
                    self.break_wire(id);
                }
            }
            7 => {
                // One server against the rest.
                self.count(Fault::PartitionTwoWay);
                for other in 0..count {
                    self.part(n, other, until);
                    self.part(other, n, until);
                }
            }
            8 => {
                self.count(Fault::PartitionOneWay);
                let both = self.chance(0.5);
                for other in 0..count {
                    if both || self.chance(0.5) {
                        if both { self.part(n, other, until) } else { self.part(other, n, until) }
                    }
                }
            }
            9 => {
                // Two halves.
                self.count(Fault::PartitionTwoWay);
                let mask = self.random.random_range(1..(1u32 << count) - 1);
                for a in 0..count {
                    for b in 0..count {
                        if (mask >> a & 1) != (mask >> b & 1) {
                            self.part(a, b, until);
                        }
                    }
                }
            }
            10 => {
                let faults = DiskFaults { sync_error: 0.05, ..DiskFaults::default() };
                self.nodes[n].disk.set_faults(faults);
                self.at(until, Event::Calm(n));
            }
            11 => {
                let room = self.range(0, 6000) as u64;
                let capacity = self.nodes[n].disk.used() + room;
                self.nodes[n].disk.set_faults(DiskFaults { capacity, short_write: 0.2, ..DiskFaults::default() });
                self.at(until, Event::Calm(n));
            }
            12 => self.nodes[n].slow_until = until,
            13 => {
                let paused = self.now + self.range(10, 1800);
                if let Some(p) = &mut self.nodes[n].process {
                    p.blocked_until = p.blocked_until.max(paused);
                    let incarnation = self.nodes[n].incarnation;
                    self.at(paused, Event::Pump(n, incarnation));
                    self.count(Fault::Pause);
                }
            }
            14 => {
                if self.chance(0.5) {
                    let by = self.range(50, 3000);
                    self.nodes[n].jump_ms += by;
                    self.count(Fault::ClockJump);
                } else {
                    self.nodes[n].wall_ms = self.range(-5000, 5000);
                    self.count(Fault::WallClockJump);
                }
            }
            15 | 16 => {
                // A leader whose disk lags behind those of its followers, who come and go.
                self.nodes[n].slow_until = until;
                for _ in 0..self.range(1, 4) {
                    let at = self.now + self.range(0, 300);
                    self.at(at, Event::BreakOneOf(n));
                }
            }
            _ => {
                if self.chance(0.3) {
                    // Everybody at once.
                    for n in 0..count {
                        self.kill(n, Death::Power);
                    }
                } else {
                    for c in 0..self.clients.len() {
                        self.count(Fault::ClientMoved);
                        self.leave(c);
                    }
                }
            }
        }
    }

    fn kill(&mut self, n: usize, death: Death) {
        if let Some(p) = self.nodes[n].process.take() {
            self.died(n, p, death);
        }
    }

    /// Whether there are no more faults.
    pub fn is_calm(&self) -> bool {
        self.calm
    }

    /// No more faults.
    pub fn heal(&mut self) {
        self.calm = true;
        for (from, to) in self.cut.clone() {
            self.free(from, to);
        }
        for n in 0..self.nodes.len() {
            let node = &mut self.nodes[n];
            let counts = node.disk.counts();
            self.counts[Fault::SyncError as usize] += counts.sync_errors;
            self.counts[Fault::ShortWrite as usize] += counts.short_writes;
            self.counts[Fault::DiskFull as usize] += counts.disk_full;
            node.disk.set_faults(DiskFaults::default());
            node.disk.burn_fuse(u64::MAX);
            node.dies_in = None;
            node.slow_until = 0;
        }
    }
}

//! Budgets of memory and disk. Above one, writes that add something are refused with QuotaExceeded, the code that says
//! "no room" and that no client library repeats by itself. Reads, deletes and the ends of sessions go on: they are the way
//! back. The refusals end by themselves once there is room again, with a margin, so that a server at the edge
//! does not say yes and no in turn.

use crate::jute::{Decode, DecodeError, Reader};
use crate::proto::OpCode;
use crate::proto::records::{CreateRequest, CreateTtlRequest, MultiHeader, PathVersionRequest, SetDataRequest};
use std::sync::atomic::{AtomicU8, Ordering};

/// What the operator allows; 0 allows everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Budgets {
    /// Memory of the process, bytes.
    pub memory: u64,
    /// Snapshots and logs, bytes.
    pub disk: u64,
    /// Space that stays free on the disks of both, bytes.
    pub reserve: u64,
}

/// What was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Memory of the process, bytes.
    pub memory: u64,
    /// Snapshots and logs, bytes.
    pub disk: u64,
    /// Free space, of the disk that has less, bytes.
    pub free: u64,
}

/// What there is too little of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shortage {
    /// The memory budget is used up.
    Memory,
    /// The disk budget is used up.
    Disk,
    /// The reserve is being used.
    Reserve,
}

impl Shortage {
    const ALL: [Shortage; 3] = [Shortage::Memory, Shortage::Disk, Shortage::Reserve];

    fn bit(self) -> u8 {
        1 << self as u8
    }

    /// The key that sets its limit.
    pub fn name(self) -> &'static str {
        match self {
            Shortage::Memory => "memory",
            Shortage::Disk => "disk",
            Shortage::Reserve => "disk reserve",
        }
    }
}

/// The budgets of a server, and whether they are used up.
#[derive(Debug, Default)]
pub struct Budget {
    budgets: Budgets,
    short: AtomicU8,
}

impl Budget {
    /// Nothing is short before something was measured.
    pub fn new(budgets: Budgets) -> Self {
        Budget { budgets, short: AtomicU8::new(0) }
    }

    /// Whether anything is limited, and has to be measured.
    pub fn is_limited(&self) -> bool {
        self.budgets != Budgets::default()
    }

    /// Takes a measurement; returns what began and what ended to be short.
    pub fn measured(&self, usage: &Usage) -> (Vec<Shortage>, Vec<Shortage>) {
        let before = self.short.load(Ordering::Relaxed);
        let mut after = 0;
        for shortage in Shortage::ALL {
            if self.is_short(shortage, usage, before & shortage.bit() != 0) {
                after |= shortage.bit();
            }
        }
        self.short.store(after, Ordering::Relaxed);
        let which = |bits: u8| Shortage::ALL.into_iter().filter(|one| bits & one.bit() != 0).collect();
        (which(after & !before), which(before & !after))
    }

    /// Once short, a twentieth of the limit has to come back.
    fn is_short(&self, shortage: Shortage, usage: &Usage, already: bool) -> bool {
        let Budgets { memory, disk, reserve } = self.budgets;
        let above = |used: u64, limit: u64| limit > 0 && used > if already { limit - limit / 20 } else { limit };
        match shortage {
            Shortage::Memory => above(usage.memory, memory),
            Shortage::Disk => above(usage.disk, disk),
            Shortage::Reserve => usage.free < if already { reserve.saturating_add(reserve / 20) } else { reserve },
        }
    }

    /// What is short now.
    pub fn shortages(&self) -> impl Iterator<Item = Shortage> {
        let bits = self.short.load(Ordering::Relaxed);
        Shortage::ALL.into_iter().filter(move |one| bits & one.bit() != 0)
    }

    /// Whether a request is refused.
    pub fn refuses(&self, op: OpCode, body: &[u8], field_max: usize) -> bool {
        self.short.load(Ordering::Relaxed) != 0 && grows(op, body, field_max)
    }
}

/// Whether a request may add to the data: creates, setData, setACL, and multis that hold one of them.
pub fn grows(op: OpCode, body: &[u8], field_max: usize) -> bool {
    match op {
        OpCode::CREATE
        | OpCode::CREATE2
        | OpCode::CREATE_CONTAINER
        | OpCode::CREATE_TTL
        | OpCode::SET_DATA
        | OpCode::SET_ACL
        | OpCode::RECONFIG => true,
        // What cannot be read is refused by who judges it.
        OpCode::MULTI => multi_grows(&mut Reader::new(body, field_max)).unwrap_or(false),
        _ => false,
    }
}

fn multi_grows(body: &mut Reader<'_>) -> Result<bool, DecodeError> {
    loop {
        let header = MultiHeader::decode(body)?;
        if header.done {
            return Ok(false);
        }
        match OpCode(header.op) {
            OpCode::CREATE | OpCode::CREATE2 | OpCode::CREATE_CONTAINER => {
                CreateRequest::decode(body)?;
                return Ok(true);
            }
            OpCode::CREATE_TTL => {
                CreateTtlRequest::decode(body)?;
                return Ok(true);
            }
            OpCode::SET_DATA => {
                SetDataRequest::decode(body)?;
                return Ok(true);
            }
            _ => drop(PathVersionRequest::decode(body)?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jute::Encode;
    use crate::proto::records::MULTI_END;
    use proptest::prelude::*;

    const MB: u64 = 1 << 20;

    #[test]
    fn without_a_limit_nothing_is_ever_short() {
        let budget = Budget::new(Budgets::default());
        assert!(!budget.is_limited());
        let usage = Usage { memory: u64::MAX, disk: u64::MAX, free: 0 };
        assert_eq!(budget.measured(&usage), (vec![], vec![]));
        assert!(!budget.refuses(OpCode::CREATE, &[], 0));
    }

    #[test]
    fn writes_that_add_are_refused_above_a_budget_and_taken_again_below_it() {
        let budget = Budget::new(Budgets { memory: 100 * MB, disk: 0, reserve: 0 });
        let memory = |memory| budget.measured(&Usage { memory: memory * MB, ..Usage::default() });
        assert_eq!(memory(100), (vec![], vec![]), "the whole budget may be used");
        assert!(!budget.refuses(OpCode::SET_DATA, &[], 0));
        assert_eq!(memory(101), (vec![Shortage::Memory], vec![]));
        for op in [OpCode::CREATE, OpCode::CREATE2, OpCode::CREATE_TTL, OpCode::SET_DATA, OpCode::SET_ACL] {
            assert!(budget.refuses(op, &[], 0), "{op}");
        }
        for op in [OpCode::DELETE, OpCode::CLOSE_SESSION, OpCode::GET_DATA, OpCode::SYNC, OpCode::PING] {
            assert!(!budget.refuses(op, &[], 0), "{op} is the way back");
        }
        assert_eq!(memory(97), (vec![], vec![]), "not at the edge");
        assert!(budget.refuses(OpCode::CREATE, &[], 0));
        assert_eq!(memory(95), (vec![], vec![Shortage::Memory]));
        assert!(!budget.refuses(OpCode::CREATE, &[], 0));
    }

    #[test]
    fn each_shortage_comes_and_goes_by_itself() {
        let budget = Budget::new(Budgets { memory: 0, disk: 10 * MB, reserve: 100 * MB });
        let disk = |disk, free| budget.measured(&Usage { memory: u64::MAX, disk: disk * MB, free: free * MB });
        assert_eq!(disk(10, 100), (vec![], vec![]));
        assert_eq!(disk(11, 99), (vec![Shortage::Disk, Shortage::Reserve], vec![]));
        assert_eq!(budget.shortages().collect::<Vec<_>>(), [Shortage::Disk, Shortage::Reserve]);
        assert_eq!(disk(1, 104), (vec![], vec![Shortage::Disk]));
        assert!(budget.refuses(OpCode::CREATE, &[], 0), "the reserve is still in use");
        assert_eq!(disk(1, 105), (vec![], vec![Shortage::Reserve]));
        assert_eq!(budget.shortages().count(), 0);
    }

    #[test]
    fn a_multi_is_refused_for_one_part_that_adds() {
        let part = |op: OpCode, record: Vec<u8>| {
            let mut out = MultiHeader { op: op.0, done: false, err: -1 }.to_bytes();
            out.extend(record);
            out
        };
        let delete = part(OpCode::DELETE, PathVersionRequest { path: Some("/a".into()), version: -1 }.to_bytes());
        let check = part(OpCode::CHECK, PathVersionRequest { path: Some("/a".into()), version: -1 }.to_bytes());
        let set = SetDataRequest { path: Some("/a".into()), data: None, version: -1 };
        let set = part(OpCode::SET_DATA, set.to_bytes());
        let multi = |parts: &[&Vec<u8>]| {
            parts.iter().flat_map(|part| part.iter().copied()).chain(MULTI_END.to_bytes()).collect::<Vec<_>>()
        };
        assert!(!grows(OpCode::MULTI, &multi(&[&delete, &check]), 100));
        assert!(grows(OpCode::MULTI, &multi(&[&delete, &set, &check]), 100));
    }

    proptest! {
        #[test]
        fn garbage_makes_no_panic(op in 0..25i32, body in proptest::collection::vec(any::<u8>(), 0..80)) {
            grows(OpCode(op), &body, 64);
        }

        #[test]
        fn limits_of_any_size_are_kept(memory in any::<u64>(), limit in 1..u64::MAX, reserve in any::<u64>(), free in any::<u64>()) {
            let budget = Budget::new(Budgets { memory: limit, disk: 0, reserve });
            budget.measured(&Usage { memory, disk: 0, free });
            prop_assert_eq!(budget.refuses(OpCode::CREATE, &[], 0), memory > limit || free < reserve);
        }
    }
}

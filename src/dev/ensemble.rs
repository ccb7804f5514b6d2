//! The members together: started, watched, started again, ended.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::member::{self, Member};
use super::plan::{Place, Plan};
use super::report::{Console, Known, State, state, table};
use super::{Args, Refusal};

/// Between two looks at the processes.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A member that has died is started again after so long.
const RESTART_AFTER: Duration = Duration::from_secs(1);
/// Members have so long to end before they are killed.
const PATIENCE: Duration = Duration::from_secs(10);

enum Event {
    /// A member says that it is something else now.
    Role(u8, Option<String>),
    /// This program is asked to end.
    Signal(u8),
}

/// A member's place, its process, and what it is.
struct Slot {
    place: Place,
    process: Option<Member>,
    again_at: Option<Instant>,
    role: Option<String>,
}

/// An ensemble that runs.
pub struct Ensemble {
    plan: Plan,
    program: PathBuf,
    slots: Vec<Slot>,
    console: Arc<Console>,
    events: Receiver<Event>,
    restart: bool,
    verbose: bool,
    /// What was told last.
    told: Option<(State, Vec<Known>)>,
    was_whole: bool,
}

impl Ensemble {
    /// Starts all members.
    pub fn start(plan: Plan, args: &Args, console: Console) -> Result<Self, Refusal> {
        let system = |what: &str, error: std::io::Error| Refusal::new(format!("{what}: {error}"));
        let program = std::env::current_exe().map_err(|error| system("this program", error))?;
        let (tell, events) = channel();
        let signals = tell.clone();
        std::thread::spawn(
            move || while crate::signals::wait().is_ok_and(|code| signals.send(Event::Signal(code)).is_ok()) {},
        );
        let slots = plan.members.iter().cloned();
        let slots = slots.map(|place| Slot { place, process: None, again_at: None, role: None }).collect();
        let (restart, verbose) = (args.restart, args.verbose);
        let mut ensemble = Ensemble {
            plan,
            program,
            slots,
            console: Arc::new(console),
            events,
            restart,
            verbose,
            told: None,
            was_whole: false,
        };
        ensemble.console.say(&format!(
            "starting {} members in {}",
            ensemble.slots.len(),
            ensemble.plan.folder.display()
        ));
        for at in 0..ensemble.slots.len() {
            if let Err(error) = ensemble.start_member(at) {
                ensemble.end(0);
                return Err(system("a member cannot be started", error));
            }
            let (id, tell) = (ensemble.slots[at].place.id, tell.clone());
            member::watch(ensemble.slots[at].place.port, move |role| tell.send(Event::Role(id, role)).is_ok());
        }
        Ok(ensemble)
    }

    fn start_member(&mut self, at: usize) -> std::io::Result<()> {
        let slot = &mut self.slots[at];
        slot.again_at = None;
        slot.process = Some(Member::start(&self.program, &slot.place, self.verbose, &self.console)?);
        Ok(())
    }

    /// Until a signal comes or nobody is left; the result is the exit code.
    pub fn run(mut self) -> u8 {
        loop {
            match self.events.recv_timeout(LOOK_EVERY) {
                Ok(Event::Signal(code)) => return self.end(code),
                Ok(Event::Role(id, role)) => {
                    if let Some(slot) = self.slots.iter_mut().find(|slot| slot.place.id == id) {
                        slot.role = role;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.end(1),
            }
            self.bury();
            self.start_again();
            self.tell();
            if self.slots.iter().all(|slot| slot.process.is_none() && slot.again_at.is_none()) {
                self.console.say("no member runs any more");
                return 1;
            }
        }
    }

    /// Takes note of members that have ended by themselves.
    fn bury(&mut self) {
        for slot in &mut self.slots {
            let Some(status) = slot.process.as_mut().and_then(Member::ended) else { continue };
            slot.process = None;
            slot.role = None;
            let next = match self.restart {
                true => {
                    slot.again_at = Some(Instant::now() + RESTART_AFTER);
                    "it is started again".to_owned()
                }
                false => format!("to start it again: oxkeeper server {}", slot.place.config().display()),
            };
            self.console.say(&format!("member {} has ended: {}; {next}", slot.place.id, member::how(status)));
        }
    }

    fn start_again(&mut self) {
        for at in 0..self.slots.len() {
            if self.slots[at].again_at.is_some_and(|due| due <= Instant::now()) {
                let id = self.slots[at].place.id;
                if let Err(error) = self.start_member(at) {
                    self.console.say(&format!("member {id} cannot be started again: {error}"));
                }
            }
        }
    }

    /// Says how the ensemble is, where that has changed.
    fn tell(&mut self) {
        let known: Vec<_> = self.slots.iter().map(Slot::known).collect();
        let now = state(&known);
        if self.told.as_ref().is_some_and(|told| *told == (now, known.clone())) {
            return;
        }
        let before = self.told.as_ref().map(|(state, _)| *state);
        match now {
            // Until everybody is there, who comes in which order is of no interest.
            State::Partly | State::Down if !self.was_whole => {}
            State::Whole if !self.was_whole => {
                let servers = self.plan.connection_string();
                self.console.say(&format!(
                    "ready: {servers}\n{}\nTry: oxkeeper cli -server {servers}\nCtrl-C ends the ensemble; its data stays in {}",
                    table(&known),
                    self.plan.folder.display()
                ));
            }
            State::Whole => self.console.say(&format!("everybody serves again:\n{}", table(&known))),
            State::Partly => self.console.say(&format!("clients are served:\n{}", table(&known))),
            State::Down if before != Some(State::Down) => {
                self.console.say(&format!("no leader, clients wait:\n{}", table(&known)));
            }
            State::Down => {}
        }
        self.was_whole |= now == State::Whole;
        self.told = Some((now, known));
    }

    /// Ends all members; a second signal does not wait for them.
    fn end(&mut self, code: u8) -> u8 {
        self.console.say("ending the members");
        self.signal(Signal::TERM);
        let deadline = Instant::now() + PATIENCE;
        let mut killed = false;
        while self.slots.iter().any(|slot| slot.process.is_some()) {
            let again = matches!(self.events.recv_timeout(LOOK_EVERY / 4), Ok(Event::Signal(_)));
            for slot in &mut self.slots {
                let Some(status) = slot.process.as_mut().and_then(Member::ended) else { continue };
                slot.process = None;
                // 143: it has ended in order, because it was asked to.
                if status.code() != Some(143) {
                    self.console.say(&format!("member {} has ended: {}", slot.place.id, member::how(status)));
                }
            }
            if !killed && (again || Instant::now() > deadline) {
                killed = true;
                self.signal(Signal::KILL);
            }
        }
        self.console.say("all members have ended");
        code
    }

    fn signal(&self, signal: Signal) {
        self.slots.iter().filter_map(|slot| slot.process.as_ref()).for_each(|process| process.signal(signal));
    }
}

impl Slot {
    fn known(&self) -> Known {
        let Place { id, port, votes, .. } = self.place;
        Known { id, port, votes, process: self.process.as_ref().map(Member::id), role: self.role.clone() }
    }
}

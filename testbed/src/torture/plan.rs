//! What happens in a round: which faults, which commands, when. Drawn from a seed: the same seed, the
//! same plan.

use std::fmt;

use harness::seeded::SeededRandom;

/// A device of the site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// The water chiller.
    Chiller,
    /// The focuser.
    Focuser,
}

impl Device {
    /// Its level in a topic.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chiller => "chiller",
            Self::Focuser => "focuser",
        }
    }
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL, and a new bridge at the end.
    KillBridge(Device),
    /// SIGTERM, and a new bridge at the end.
    StopBridge(Device),
    /// SIGSTOP, and SIGCONT at the end.
    FreezeBridge(Device),
    /// SIGKILL, and a new broker at the end.
    KillBroker,
    /// SIGTERM, and a new broker at the end.
    RestartBroker,
    /// SIGSTOP, and SIGCONT at the end.
    FreezeBroker,
    /// The cable is pulled, and put back at the end.
    Unplug(Device),
    /// A fault of the simulated instrument, by the name that its console knows.
    Line(Device, &'static str),
    /// No room in the bridge's state folder.
    DiskFull(Device),
    /// The bridge's state folder is read-only.
    DiskReadOnly(Device),
    /// The clock of the focuser's bridge is stepped by so many seconds, and back at the end.
    StepClock(i32),
    /// A tool that waits for its verdict is killed.
    KillClient,
    /// A tool that waits for its verdict is frozen, and goes on at the end.
    FreezeClient,
}

impl Fault {
    /// What it happens to: two faults of one round never meet at the same thing.
    #[must_use]
    pub const fn target(self) -> (u8, Option<Device>) {
        match self {
            Self::KillBridge(device) | Self::StopBridge(device) | Self::FreezeBridge(device) => {
                (0, Some(device))
            }
            Self::KillBroker | Self::RestartBroker | Self::FreezeBroker => (1, None),
            Self::Unplug(device) | Self::Line(device, _) => (2, Some(device)),
            Self::DiskFull(device) | Self::DiskReadOnly(device) => (3, Some(device)),
            Self::StepClock(_) => (4, None),
            Self::KillClient | Self::FreezeClient => (5, None),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KillBridge(device) => write!(f, "the bridge of the {} is killed", device.name()),
            Self::StopBridge(device) => write!(f, "the bridge of the {} is stopped", device.name()),
            Self::FreezeBridge(device) => write!(f, "the bridge of the {} is frozen", device.name()),
            Self::KillBroker => f.write_str("the broker is killed"),
            Self::RestartBroker => f.write_str("the broker is restarted"),
            Self::FreezeBroker => f.write_str("the broker is frozen"),
            Self::Unplug(device) => write!(f, "the cable of the {} is out", device.name()),
            Self::Line(device, fault) => write!(f, "the {} is {fault}", device.name()),
            Self::DiskFull(device) => write!(f, "the disk of the {}'s bridge is full", device.name()),
            Self::DiskReadOnly(device) => {
                write!(f, "the disk of the {}'s bridge is read-only", device.name())
            }
            Self::StepClock(seconds) => {
                write!(f, "the clock of the focuser's bridge is stepped by {seconds} s")
            }
            Self::KillClient => f.write_str("a waiting client is killed"),
            Self::FreezeClient => f.write_str("a waiting client is frozen"),
        }
    }
}

/// What cannot be done on every machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Means {
    /// File systems of its own, which takes root.
    pub disks: bool,
    /// A clock of its own, which takes libfaketime.
    pub clock: bool,
}

/// How a request is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// As it should be.
    Properly,
    /// Twice, the second time a little later.
    Twice,
    /// By somebody whom the bridge does not know.
    ByBob,
    /// By somebody whom the broker refuses every command.
    ByVisitor,
    /// By bob in the name of alice.
    Forged,
    /// With the retain flag.
    Retained,
    /// With a time that is long ago.
    Expired,
    /// With a time that is still to come.
    FromTheFuture,
    /// With the real tool, by alice.
    WithTheTool,
}

/// A verb to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// The chiller's set point.
    SetPoint,
    /// Run, or stand by.
    Run(bool),
    /// Asks the bridge of a device.
    Ping(Device),
    /// A move of the focuser.
    Set,
    /// A stop of the focuser.
    Stop,
    /// Homing; nothing if the position is known.
    Init,
}

impl Verb {
    /// Whose verb it is.
    #[must_use]
    pub const fn device(self) -> Device {
        match self {
            Self::SetPoint | Self::Run(_) => Device::Chiller,
            Self::Ping(device) => device,
            Self::Set | Self::Stop | Self::Init => Device::Focuser,
        }
    }

    /// Its name on the bus.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SetPoint => "setpoint",
            Self::Run(_) => "enabled",
            Self::Ping(_) => "ping",
            Self::Set => "set",
            Self::Stop => "stop",
            Self::Init => "init",
        }
    }
}

/// A step of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A fault begins.
    Begin(Fault),
    /// It ends.
    End(Fault),
    /// Somebody sends something: `true` is alice, `false` ops.
    Send(Verb, Manner, bool),
    /// Somebody comes who has seen nothing yet.
    Arrive,
}

/// The plan of a round: what happens, and when, in milliseconds from its beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// In the order of the times.
    pub steps: Vec<(u64, Step)>,
}

/// In a round, commands are sent for so long, ms.
const BUSY: u64 = 1500;

impl Plan {
    /// The plan of this round of the campaign with this seed.
    #[must_use]
    pub fn draw(seed: u64, round: u64, means: Means) -> Self {
        let mut random = SeededRandom::new(seed ^ round.wrapping_mul(0xD134_2543_DE82_EF95));
        let mut steps = Vec::new();
        for fault in faults(&mut random, means) {
            let begin = random.below(1200);
            let lasts = match fault {
                // Longer than a link that is silent is believed.
                Fault::Unplug(_) | Fault::Line(..) => 300 + random.below(2200),
                Fault::FreezeBridge(_) | Fault::FreezeBroker => 50 + random.below(2000),
                // Longer than the news of a death takes.
                Fault::KillBridge(_) => 20 + random.below(2500),
                _ => 20 + random.below(1200),
            };
            steps.push((begin, Step::Begin(fault)));
            steps.push((begin + lasts, Step::End(fault)));
        }
        for _ in 0..5 + random.below(5) {
            let at = random.below(BUSY);
            let verb = random.of(&[
                Verb::SetPoint,
                Verb::SetPoint,
                Verb::Run(true),
                Verb::Run(false),
                Verb::Ping(Device::Chiller),
                Verb::Ping(Device::Focuser),
                Verb::Set,
                Verb::Set,
                Verb::Set,
                Verb::Stop,
                Verb::Stop,
            ]);
            steps.push((at, Step::Send(verb, manner(&mut random, verb), random.below(2) == 0)));
        }
        // At least one move for the faults to meet, and a tool.
        steps.push((random.below(300), Step::Send(Verb::Set, Manner::Properly, true)));
        let tool = random.of(&[Verb::SetPoint, Verb::Set, Verb::Stop]);
        steps.push((random.below(BUSY), Step::Send(tool, Manner::WithTheTool, true)));
        steps.push((random.below(3000), Step::Arrive));
        steps.sort_by_key(|(at, _)| *at);
        Self { steps }
    }

    /// Its faults.
    pub fn faults(&self) -> impl Iterator<Item = Fault> {
        self.steps.iter().filter_map(|(_, step)| match step {
            Step::Begin(fault) => Some(*fault),
            _ => None,
        })
    }
}

fn manner(random: &mut SeededRandom, verb: Verb) -> Manner {
    match random.below(20) {
        0..=2 => Manner::Twice,
        3 => Manner::ByBob,
        4 => Manner::ByVisitor,
        5 => Manner::Forged,
        // An empty payload with the retain flag is nothing.
        6 if verb != Verb::Stop => Manner::Retained,
        7 => Manner::Expired,
        8 => Manner::FromTheFuture,
        _ => Manner::Properly,
    }
}

fn faults(random: &mut SeededRandom, means: Means) -> Vec<Fault> {
    let count = if random.below(3) == 0 { 2 } else { 1 };
    let mut faults: Vec<Fault> = Vec::new();
    while faults.len() < count {
        let fault = fault(random);
        let possible = match fault {
            Fault::DiskFull(_) | Fault::DiskReadOnly(_) => means.disks,
            Fault::StepClock(_) => means.clock,
            _ => true,
        };
        if possible && faults.iter().all(|other| other.target() != fault.target()) {
            faults.push(fault);
        }
    }
    faults
}

fn fault(random: &mut SeededRandom) -> Fault {
    let device = random.of(&[Device::Chiller, Device::Focuser, Device::Focuser]);
    match random.below(20) {
        0..=3 => Fault::KillBridge(device),
        4 => Fault::StopBridge(device),
        5 | 6 => Fault::FreezeBridge(device),
        7 => Fault::KillBroker,
        8 => Fault::RestartBroker,
        9 | 10 => Fault::FreezeBroker,
        11 | 12 => Fault::Unplug(device),
        13 | 14 => Fault::Line(device, random.of(&["silent", "garbled", "deaf", "truncated", "slow"])),
        15 => Fault::DiskFull(device),
        16 => Fault::DiskReadOnly(device),
        17 => Fault::StepClock(random.of(&[-3600, -30, -3, 3, 30, 3600])),
        18 => Fault::KillClient,
        _ => Fault::FreezeClient,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Means = Means { disks: true, clock: true };

    #[test]
    fn one_seed_gives_one_plan_and_another_one_another() {
        assert_eq!(Plan::draw(7, 3, ALL), Plan::draw(7, 3, ALL));
        assert_ne!(Plan::draw(7, 3, ALL), Plan::draw(7, 4, ALL));
        assert_ne!(Plan::draw(7, 3, ALL), Plan::draw(8, 3, ALL));
    }

    #[test]
    fn every_fault_comes_and_ends_and_two_never_meet_at_the_same_thing() {
        let mut seen = std::collections::BTreeSet::new();
        for round in 0..1000 {
            let plan = Plan::draw(1, round, ALL);
            let faults: Vec<Fault> = plan.faults().collect();
            for fault in &faults {
                seen.insert(fault.to_string());
                let ends = plan.steps.iter().filter(|(_, step)| *step == Step::End(*fault)).count();
                assert_eq!(ends, 1, "{plan:?}");
            }
            assert!((1..=2).contains(&faults.len()), "{plan:?}");
            if let [one, other] = faults.as_slice() {
                assert_ne!(one.target(), other.target());
            }
        }
        // Kills, stops, freezes, cables, disks of both; five faults of each line; six steps of the clock;
        // three faults of the broker; two of a client.
        assert_eq!(seen.len(), 6 * 2 + 5 * 2 + 6 + 3 + 2, "{seen:#?}");
    }

    #[test]
    fn what_a_machine_cannot_do_is_not_planned() {
        let none = Means { disks: false, clock: false };
        for round in 0..1000 {
            let plan = Plan::draw(1, round, none);
            let beyond = |fault: Fault| {
                matches!(fault, Fault::DiskFull(_) | Fault::DiskReadOnly(_) | Fault::StepClock(_))
            };
            assert!(!plan.faults().any(beyond), "{plan:?}");
        }
    }
}

//! When the core publishes and saves the history, with a device of one figure.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bridge::controller::{Command, Controller, Effect, Facts, LinkChange, Protocol, Quantity, Undecodable};
use bridge::core::{Core, CoreSettings, Event, File, Output};
use bridge::line::Exchange;
use bus::clock::{Instant, Now, Utc};
use bus::command::{DeskSettings, Journal};
use bus::device::{Description, Tone, Verb, Word};
use bus::message::{Health, History};
use bus::probe::Verdict;
use bus::session::bridge::SessionEvent;
use bus::topic::Base;

struct Thermometer;

const DESCRIPTION: Description = Description {
    kind: "thermometer",
    label: "thermometer",
    model: "of no maker",
    statuses: &[Word::new("offline", "OFFLINE", Tone::Bad), Word::new("idle", "IDLE", Tone::Good)],
    verbs: &[Verb::PING],
    properties: &[],
    services: &[],
};

impl Controller for Thermometer {
    type Request = ();
    type Reply = ();
    type State = ();
    type Saved = ();

    fn handle_command(&mut self, _: Command, _: Now) {}
    fn handle_reply(&mut self, (): (), _: Result<(), String>, _: Now) {}
    fn handle_link(&mut self, _: LinkChange, _: Now) {}
    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
    fn poll_request(&mut self, _: Now) -> Option<()> {
        None
    }
    fn is_wanted(&self, (): &()) -> bool {
        false
    }
    fn poll_effect(&mut self) -> Option<Effect<(), ()>> {
        None
    }
    fn facts(&self, now: Now) -> Facts {
        Facts {
            status: "idle",
            reason: "ready",
            summary: String::new(),
            date: Some(now.utc),
            connected: true,
        }
    }
    fn state(&self, _: Now) {}
    fn quantities(&self) -> Vec<Quantity> {
        vec![Quantity { name: "water_temp", unit: "degC", value: Some(10.0) }]
    }
    fn status_word(&self) -> &'static str {
        "idle"
    }
}

impl Protocol for Thermometer {
    type Request = ();
    type Reply = ();

    fn exchange(&mut self, (): &()) -> Exchange {
        unreachable!("nothing is asked")
    }
    fn decode(&self, (): &(), _: &[u8], _: &[u8]) -> Result<(), Undecodable> {
        Ok(())
    }
}

struct Rig {
    core: Core<Thermometer, Thermometer>,
    now: Now,
}

impl Rig {
    fn new(history: Option<&History>) -> Self {
        let desk = DeskSettings {
            base: Base::new("clasp", "chiller").unwrap(),
            verbs: DESCRIPTION.verbs,
            control_clients: BTreeSet::new(),
            stop_clients: BTreeSet::new(),
            ranges: BTreeMap::new(),
            names: BTreeMap::new(),
            timeouts: BTreeMap::new(),
            require_acl: true,
            allow_bare_motion: false,
            stall_guard: Duration::from_secs(1),
            greeting: String::new(),
        };
        let settings = CoreSettings {
            desk,
            description: &DESCRIPTION,
            version: "0",
            log_name: "thermometer".to_owned(),
            session: "s".to_owned(),
            stale_after: Duration::from_secs(30),
            serial_timeout: Duration::from_secs(5),
        };
        let now = Now {
            instant: Instant::from_boot(Duration::from_secs(60)),
            utc: Utc::parse("2026-11-20T10:01:00Z").unwrap(),
        };
        Self { core: Core::new(settings, Thermometer, Thermometer, Journal::default(), history, now), now }
    }

    fn outputs(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.core.poll_output()).collect()
    }

    fn connect(&mut self) -> Vec<Output> {
        self.core.handle(Event::Session(SessionEvent::Connected), self.now);
        let verdict = Verdict { acl_ok: Some(true), command_path_ok: true };
        self.core.handle(Event::Session(SessionEvent::Judged(verdict)), self.now);
        self.outputs()
    }

    /// Lets so many seconds pass, as the loop would.
    fn let_pass(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.now = self.now.after(Duration::from_secs(1));
            self.core.handle(Event::Timeout, self.now);
        }
    }
}

fn published(outputs: &[Output]) -> Vec<History> {
    let history = |output: &Output| match output {
        Output::Set { topic, payload, expiry: None } if topic == "clasp/chiller/history" => {
            Some(serde_json::from_slice(payload).unwrap())
        }
        _ => None,
    };
    outputs.iter().filter_map(history).collect()
}

fn saved(outputs: &[Output]) -> Vec<(u64, History)> {
    let history = |output: &Output| match output {
        Output::Save(File::History, number, contents) => {
            Some((*number, serde_json::from_slice(contents).unwrap()))
        }
        _ => None,
    };
    outputs.iter().filter_map(history).collect()
}

#[test]
fn the_history_is_published_at_each_connection_before_anything_goes_out() {
    let mut rig = Rig::new(None);
    let outputs = rig.connect();
    assert_eq!(published(&outputs).len(), 1);
    let opened = outputs.iter().position(|output| *output == Output::Open).unwrap();
    assert_eq!(published(&outputs[..opened]).len(), 1);
    rig.core.handle(Event::Session(SessionEvent::Lost { error: "gone".to_owned() }), rig.now);
    rig.let_pass(30);
    assert_eq!(published(&rig.outputs()), []);
    let history = published(&rig.connect()).remove(0);
    assert_eq!(history.columns["water_temp"], [Some(10.0)]);
    assert_eq!(history.date, rig.now.utc);
}

#[test]
fn it_is_published_every_minute_and_saved_whenever_a_bin_closes() {
    let mut rig = Rig::new(None);
    rig.connect();
    rig.let_pass(3 * 300);
    let outputs = rig.outputs();
    let histories = published(&outputs);
    let gaps: Vec<_> = histories.windows(2).map(|pair| pair[1].date.seconds_since(pair[0].date)).collect();
    assert!(gaps.iter().all(|gap| *gap <= 60.0), "{gaps:?}");
    let saves = saved(&outputs);
    assert_eq!(saves.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1, 2, 3]);
    let dates: Vec<_> = saves.iter().map(|(_, history)| history.date.to_string()).collect();
    assert_eq!(dates, ["2026-11-20T10:05:00.000Z", "2026-11-20T10:10:00.000Z", "2026-11-20T10:15:00.000Z"]);
    assert_eq!(saves[2].1.columns["water_temp"], [Some(10.0), Some(10.0), Some(10.0), None]);
    assert!(saves.iter().all(|(_, save)| histories.contains(save)), "what is saved is published");
}

#[test]
fn without_a_broker_it_is_saved_all_the_same() {
    let mut rig = Rig::new(None);
    rig.let_pass(600);
    let outputs = rig.outputs();
    assert_eq!((published(&outputs).len(), saved(&outputs).len()), (0, 2));
}

#[test]
fn a_clean_stop_saves_what_the_running_bin_has_and_the_next_start_goes_on_from_it() {
    let mut rig = Rig::new(None);
    rig.connect();
    rig.let_pass(100);
    rig.outputs();
    rig.core.handle(Event::Stop, rig.now);
    let outputs = rig.outputs();
    let (_, history) = saved(&outputs).remove(0);
    assert!(matches!(outputs.last(), Some(Output::Finish { say_offline: true })));
    assert_eq!(history.columns["water_temp"], [Some(10.0)]);
    let mut earlier = history;
    earlier.columns.get_mut("water_temp").unwrap()[0] = Some(5.0);
    let published = published(&Rig::new(Some(&earlier)).connect()).remove(0);
    assert_eq!(published.columns["water_temp"], [Some(5.0)]);
}

#[test]
fn a_history_that_cannot_be_saved_is_no_secret_until_it_can() {
    let mut rig = Rig::new(None);
    rig.connect();
    let health = |outputs: &[Output]| -> Option<bool> {
        let health = |output: &Output| match output {
            Output::Set { topic, payload, .. } if topic == "clasp/chiller/health" => {
                Some(serde_json::from_slice::<Health>(payload).unwrap().journal_ok)
            }
            _ => None,
        };
        outputs.iter().filter_map(health).next_back()
    };
    let full = || Err("no space left on device".to_owned());
    rig.core.handle(Event::Saved(File::History, 1, full()), rig.now);
    assert_eq!(health(&rig.outputs()), Some(false));
    // A smaller file that still fits does not make it well.
    rig.core.handle(Event::Saved(File::Commands, 1, Ok(())), rig.now);
    assert_eq!(health(&rig.outputs()), None);
    rig.core.handle(Event::Saved(File::History, 2, Ok(())), rig.now);
    assert_eq!(health(&rig.outputs()), Some(true));
}

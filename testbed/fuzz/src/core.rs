//! A bridge's whole core, from the files of its state directory on, with any replies, messages and
//! pauses: it never panics, it publishes JSON, and nobody commands who may not.

use std::time::Duration;

use bridge::core::{Core, CoreSettings, Event, File, Output, PreviousRun};
use bridge::daemon::core_settings;
use bridge::instrument::Instrument;
use bridge::journal;
use bridge::line::{LineEvent, Timing};
use bridge::settings::DeviceSettings;
use bridge::store::Loaded;
use bus::clock::Now;
use bus::command::DeskSettings;
use bus::incoming::Incoming;
use bus::probe::Verdict;
use bus::session::bridge::SessionEvent;

use crate::{lines, start};

thread_local! {
    pub(crate) static CHILLER: Lives<chiller_bridge::daemon::Bridge> =
        Lives::new(include_str!("../../../chiller-bridge/deploy/clasp.toml"));
    pub(crate) static FOCUSER: Lives<focuser_bridge::daemon::Bridge> =
        Lives::new(include_str!("../../../focuser-bridge/deploy/clasp.toml"));
}

/// Bridges with the shipped settings.
pub(crate) struct Lives<I: Instrument> {
    own: I::Settings,
    core: CoreSettings,
}

pub(crate) fn chiller(bytes: &[u8]) {
    split(bytes, |files, script| CHILLER.with(|it| it.live(files, script)));
}

pub(crate) fn focuser(bytes: &[u8]) {
    split(bytes, |files, script| FOCUSER.with(|it| it.live(files, script)));
}

/// Up to the first empty line the files, then the script.
fn split(bytes: &[u8], live: impl Fn(&[u8], &[u8])) {
    let at = bytes.windows(2).position(|two| two == b"\n\n");
    let (files, script) = at.map_or((&[][..], bytes), |at| bytes.split_at(at));
    live(files, script);
}

impl<I: Instrument> Lives<I> {
    fn new(text: &str) -> Self {
        let made = || {
            let mut section = bus::settings::parse(text, std::path::Path::new("clasp.toml")).ok()?;
            let own = I::Settings::read(&mut section, &[]);
            let core = core_settings::<I>(&own, "fuzzed".to_owned()).ok()?;
            Some(Self { own, core })
        };
        made().unwrap_or_else(|| panic!("the shipped settings are good"))
    }

    pub(crate) fn desk(&self) -> DeskSettings {
        self.core.desk.clone()
    }

    /// One run of a bridge. A line of the script each: `r` and the bytes of a reply, `e` for a reply that
    /// does not come, `c` and identity, verb and payload, `i` and an input's payload, `w` and a pause,
    /// anything else a word about the connection.
    pub(crate) fn live(&self, files: &[u8], script: &[u8]) {
        let mut files = lines(files);
        let device = files.next().map_or(Loaded::Missing, |bytes| match serde_json::from_slice(bytes) {
            Ok(saved) => Loaded::Current(saved),
            Err(error) => Loaded::Damaged(error.to_string()),
        });
        let left = PreviousRun {
            journal: files.next().and_then(|bytes| journal::read(bytes).ok()).unwrap_or_default().0,
            history: files.next().and_then(|bytes| serde_json::from_slice(bytes).ok()),
            recent: files.next().and_then(|bytes| serde_json::from_slice(bytes).ok()),
            lost: bridge::core::Lost::default(),
        };
        let left = PreviousRun {
            history: left.history.filter(|history: &bridge::history::SavedHistory| history.check().is_ok()),
            ..left
        };
        let mut now = start();
        let controller = I::controller(&self.own, device, now);
        let mut core = Core::new(self.core.clone(), controller, I::protocol(&self.own), left, now);
        let inputs = I::configured(&self.own).inputs;
        self.settle(&mut core, now);
        for line in lines(script).take(200) {
            now = now.after(Duration::from_millis(50));
            for event in self.event(line, &inputs, &mut now) {
                core.handle(event, now);
                self.settle(&mut core, now);
            }
        }
    }

    fn event(&self, line: &[u8], inputs: &[String], now: &mut Now) -> Vec<Event> {
        let message = |topic: String, payload: &[u8], now: Now| {
            Event::Session(SessionEvent::Message(Incoming {
                topic,
                payload: payload.to_vec(),
                retain: false,
                response_topic: None,
                correlation: None,
                signatures: Vec::new(),
                received: now,
                stalled: false,
            }))
        };
        let timing = Timing { written: now.instant, finished: now.instant };
        match line {
            [b'r', reply @ ..] => vec![Event::Line(LineEvent::Reply(Ok(reply.to_vec()), timing))],
            [b'e', ..] => vec![Event::Line(LineEvent::Reply(Err(bridge::line::LineError::Silent), timing))],
            [b'o', ..] => vec![Event::Line(LineEvent::Opened)],
            [b'x', ..] => vec![Event::Line(LineEvent::Closed { reason: "unplugged".to_owned() })],
            [b'c', rest @ ..] => {
                let mut parts = rest.splitn(3, |byte| *byte == b' ');
                let mut text = || String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
                let (by, verb, payload) = (text(), text(), text());
                let topic = format!("{}/command/{by}/{verb}", self.core.desk.base);
                vec![message(topic, payload.as_bytes(), *now)]
            }
            [b'i', rest @ ..] => inputs.iter().map(|topic| message(topic.clone(), rest, *now)).collect(),
            [b'w', rest @ ..] => {
                let pause = rest.first().copied().unwrap_or_default();
                *now = now.after(Duration::from_millis(u64::from(pause) * u64::from(pause)));
                vec![Event::Timeout]
            }
            [b'g', ..] => vec![
                Event::Session(SessionEvent::Connected {
                    broker: "localhost:8883".to_owned(),
                    instead_of: Vec::new(),
                    round_trip: Duration::from_millis(1),
                    payload_limit: 65_536,
                }),
                Event::Session(SessionEvent::Judged(Verdict {
                    acl_ok: Some(true),
                    command_path_ok: true,
                    wills_open: false,
                })),
            ],
            [b'l', ..] => vec![Event::Session(SessionEvent::Lost { error: "gone".to_owned() })],
            [b'q', ..] => vec![Event::Stop],
            [b's', rest @ ..] => {
                let number = rest.first().copied().unwrap_or_default().into();
                [File::Device, File::Commands].map(|file| Event::Saved(file, number, Ok(()))).into()
            }
            _ => vec![Event::Timeout],
        }
    }

    fn settle(&self, core: &mut Core<I::Controller, I::Protocol>, _now: Now) {
        for _ in 0..2_000 {
            match core.poll_output() {
                None => return,
                Some(Output::Set { payload, .. }) => {
                    let readable =
                        payload.is_empty() || serde_json::from_slice::<serde_json::Value>(&payload).is_ok();
                    assert!(readable || payload.is_ascii(), "{}", payload.escape_ascii());
                }
                Some(_) => {}
            }
        }
        panic!("the core does not come to rest");
    }
}

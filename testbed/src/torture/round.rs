//! One round: the steps of its plan at their times, then the end of every fault, and everybody asks again
//! for what he was not told.

use std::fs;
use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::Signal;
use serde_json::{Map, Value, json};

use super::ground::{Ground, RunningTool, mount, now, seconds};
use super::log::{Life, Request, What};
use super::plan::{Device, Fault, Manner, Plan, Step, Verb};
use crate::client::Post;
use crate::operator::seconds_from_now;
use crate::site::Bridge;
use crate::wait::wait_for;

/// For both bridges to answer again, on a busy machine.
const RECOVERY: Duration = Duration::from_secs(60);
/// For one answer of a site that is well.
const ANSWER: Duration = Duration::from_secs(30);
/// How long a request is valid, seconds.
const TTL: f64 = 3.0;
/// What [`Fault::target`] says of faults of the broker.
const BROKER: u8 = 1;
const DEVICES: [Device; 2] = [Device::Chiller, Device::Focuser];

/// What a batch of rounds shares: values and ids that come only once.
#[derive(Debug, Default)]
pub(super) struct Once {
    moves: u64,
    set_points: u64,
    ids: u64,
}

impl Once {
    fn id(&mut self) -> String {
        self.ids += 1;
        format!("r-{}", self.ids)
    }

    /// A value that only one request has. Moves are so short that the first leg of none (half a millimetre
    /// further out) is the second of another.
    #[expect(clippy::cast_precision_loss, reason = "below 300")]
    fn value(&mut self, verb: Verb) -> Option<f64> {
        match verb {
            Verb::Set => {
                self.moves += 1;
                Some((200.0 + (self.moves * 113 % 289) as f64) / 1000.0)
            }
            Verb::SetPoint => {
                self.set_points += 1;
                Some((100.0 + (self.set_points * 71 % 199) as f64) / 10.0)
            }
            Verb::Run(on) => Some(f64::from(u8::from(on))),
            Verb::Ping(_) | Verb::Stop | Verb::Init => None,
        }
    }
}

/// A request that can be sent again, byte for byte.
#[derive(Clone, Debug)]
struct Asked {
    request: Request,
    client: usize,
    device: Device,
    payload: String,
    retained: bool,
}

/// Plays a round, and settles it.
pub(super) fn play(ground: &mut Ground, plan: &Plan, number: u64, once: &mut Once) -> Result<()> {
    let words = plan.faults().map(|fault| fault.to_string()).collect();
    ground.note(What::Round { number, plan: words })?;
    let mut round = Round { ground, once, asked: Vec::new(), again: Vec::new(), broker_is_away: false };
    let begin = now();
    for (at, step) in &plan.steps {
        let due = begin + Duration::from_millis(*at);
        round.wait("the next step", due.since(now()) + RECOVERY, |_| Ok((now() >= due).then_some(())))?;
        round.perform(*step).with_context(|| format!("{step:?}"))?;
    }
    round.settle().with_context(|| format!("the bridges' last words:\n{}", ground.last_words()))?;
    ground.look()?;
    ground.note(What::Settled { number })
}

struct Round<'a> {
    ground: &'a mut Ground,
    once: &'a mut Once,
    asked: Vec<Asked>,
    /// Down or frozen: nobody can come.
    broker_is_away: bool,
    /// To be sent a second time, when.
    again: Vec<(bus::clock::Instant, Asked)>,
}

impl Round<'_> {
    /// Looks at everything until `done`.
    fn wait<T>(
        &mut self,
        what: &str,
        limit: Duration,
        mut done: impl FnMut(&mut Self) -> Result<Option<T>>,
    ) -> Result<T> {
        wait_for(what, limit, || {
            let looked = self.ground.look().and_then(|()| self.send_again()).and_then(|()| done(self));
            looked.transpose()
        })?
    }

    fn perform(&mut self, step: Step) -> Result<()> {
        match step {
            Step::Begin(fault) => self.begin(fault),
            Step::End(fault) => self.end(fault),
            Step::Arrive if self.broker_is_away => Ok(()),
            Step::Arrive => self.ground.arrive(),
            Step::Send(verb, Manner::WithTheTool, _) => self.run_tool(verb),
            Step::Send(verb, manner, by_alice) => self.send(verb, manner, by_alice),
        }
    }

    fn process(&mut self, name: &str, life: Life) -> Result<()> {
        self.ground.note(What::Process { name: name.to_owned(), life })
    }

    fn fault(&mut self, name: &str, device: Device, on: bool) -> Result<()> {
        self.ground.note(What::Fault { name: name.to_owned(), device: device.name().to_owned(), on })
    }

    fn begin(&mut self, fault: Fault) -> Result<()> {
        self.broker_is_away |= fault.target().0 == BROKER;
        let broker = &mut self.ground.site.broker;
        match fault {
            Fault::KillBridge(device) => self.ground.end(device, Life::Killed, Bridge::kill9),
            Fault::StopBridge(device) => {
                self.ground.end(device, Life::Stopped, |bridge| bridge.stop().map(|_| ()))
            }
            Fault::FreezeBridge(device) => {
                self.ground.bridge(device).freeze()?;
                self.process(device.name(), Life::Frozen)
            }
            Fault::KillBroker => {
                broker.kill9()?;
                self.process("broker", Life::Killed)
            }
            Fault::RestartBroker => {
                broker.stop()?;
                self.process("broker", Life::Stopped)
            }
            Fault::FreezeBroker => {
                broker.freeze()?;
                self.process("broker", Life::Frozen)
            }
            Fault::Unplug(device) => {
                self.fault("unplugged", device, true)?;
                self.ground.unplug(device, true)
            }
            Fault::Line(device, name) => {
                self.fault(name, device, true)?;
                self.ground.spoil(device, Some(name))
            }
            Fault::DiskFull(device) => {
                self.fault("full", device, true)?;
                fill(&self.ground.disk(device).join("filler"));
                Ok(())
            }
            Fault::DiskReadOnly(device) => {
                self.fault("read-only", device, true)?;
                mount(&["-o", "remount,ro"], &self.ground.disk(device))
            }
            Fault::StepClock(seconds) => self.ground.step_clock(seconds),
            Fault::KillClient | Fault::FreezeClient => self.run_tool(Verb::Set),
        }
    }

    fn end(&mut self, fault: Fault) -> Result<()> {
        if fault.target().0 == BROKER {
            self.broker_is_away = false;
        }
        match fault {
            Fault::KillBridge(device) | Fault::StopBridge(device) => self.ground.start_bridge(device),
            Fault::FreezeBridge(device) => {
                // It may have been thought dead, and have ended itself since.
                self.process(device.name(), Life::Thawed)?;
                self.ground.bridge(device).thaw()
            }
            Fault::KillBroker | Fault::RestartBroker => {
                self.ground.site.broker.restart()?;
                self.process("broker", Life::Started)
            }
            Fault::FreezeBroker => {
                self.process("broker", Life::Thawed)?;
                self.ground.site.broker.thaw()
            }
            Fault::Unplug(device) => {
                self.ground.unplug(device, false)?;
                self.fault("unplugged", device, false)
            }
            Fault::Line(device, name) => {
                self.ground.spoil(device, None)?;
                self.fault(name, device, false)
            }
            Fault::DiskFull(device) => {
                fs::remove_file(self.ground.disk(device).join("filler")).context("make room")?;
                self.fault("full", device, false)
            }
            Fault::DiskReadOnly(device) => {
                mount(&["-o", "remount,rw"], &self.ground.disk(device))?;
                self.fault("read-only", device, false)
            }
            Fault::StepClock(_) => self.ground.step_clock(0),
            Fault::KillClient => self.ground.tools.last_mut().map_or(Ok(()), |tool| tool.process.kill9()),
            Fault::FreezeClient => {
                // It may have ended already.
                self.ground.tools.last_mut().map_or(Ok(()), |tool| tool.process.signal(Signal::STOP))
            }
        }
    }

    fn send(&mut self, verb: Verb, manner: Manner, by_alice: bool) -> Result<()> {
        let (client, named) = match manner {
            Manner::ByBob => (2, "bob"),
            Manner::ByVisitor => (3, "visitor"),
            Manner::Forged => (2, "alice"),
            _ if by_alice => (0, "alice"),
            _ => (1, "ops"),
        };
        let t = seconds(now());
        let dated = match manner {
            Manner::Expired => t - 60.0,
            Manner::FromTheFuture => t + 30.0,
            _ => t,
        };
        let value = self.once.value(verb);
        let id = self.once.id();
        let mut keys = Map::new();
        keys.insert("id".to_owned(), id.as_str().into());
        keys.insert("ts".to_owned(), seconds_from_now(dated - t).to_string().into());
        keys.insert("ttl_s".to_owned(), TTL.into());
        match (verb, value) {
            (Verb::Set, Some(mm)) => _ = keys.insert("mm".to_owned(), mm.into()),
            (Verb::SetPoint, Some(celsius)) => _ = keys.insert("celsius".to_owned(), celsius.into()),
            (Verb::Run(on), _) => _ = keys.insert("enabled".to_owned(), if on { "on" } else { "off" }.into()),
            _ => {}
        }
        let asked = Asked {
            request: Request {
                who: super::ground::CLIENTS.get(client).copied().unwrap_or_default().to_owned(),
                named: named.to_owned(),
                device: verb.device().name().to_owned(),
                verb: verb.name().to_owned(),
                id: Some(id),
                value,
                dated: Some(dated),
                ttl: TTL,
                retained: manner == Manner::Retained,
                permitted: client < 2,
            },
            client,
            device: verb.device(),
            payload: Value::Object(keys).to_string(),
            retained: manner == Manner::Retained,
        };
        if manner == Manner::Twice {
            self.again.push((now() + Duration::from_millis(40), asked.clone()));
        }
        self.publish(&asked)?;
        self.asked.push(asked);
        Ok(())
    }

    fn send_again(&mut self) -> Result<()> {
        let due: Vec<_> = self.again.extract_if(.., |(at, _)| *at <= now()).collect();
        due.iter().try_for_each(|(_, asked)| self.publish(asked))
    }

    fn publish(&mut self, asked: &Asked) -> Result<()> {
        let request = &asked.request;
        let topic = format!("clasp/{}/command/{}/{}", request.device, request.named, request.verb);
        let post = Post::to(topic, asked.payload.clone()).expiring(10);
        let post = if asked.retained { post.retained() } else { post };
        self.ground.note(What::Sent(request.clone()))?;
        let Some((client, _)) = self.ground.clients.get(asked.client) else { return Ok(()) };
        let pending = client.send(post)?;
        let id = request.id.clone().unwrap_or_default();
        self.ground.pending.push((pending, request.who.clone(), asked.device, id));
        Ok(())
    }

    fn run_tool(&mut self, verb: Verb) -> Result<()> {
        let value = self.once.value(verb);
        let (program, words) = match (verb, value) {
            (Verb::SetPoint, Some(celsius)) => ("chiller", vec!["setpoint".to_owned(), celsius.to_string()]),
            (Verb::Set, Some(mm)) => ("focus", vec!["set".to_owned(), mm.to_string()]),
            _ => ("focus", vec!["stop".to_owned()]),
        };
        let began = seconds(now());
        self.ground.note(What::Sent(Request {
            who: "alice".to_owned(),
            named: "alice".to_owned(),
            device: verb.device().name().to_owned(),
            verb: verb.name().to_owned(),
            id: None,
            value,
            dated: Some(began),
            ttl: 10.0,
            retained: false,
            permitted: true,
        }))?;
        let process = self.ground.tool(program, &words)?.spawn()?;
        let words = format!("{program} {}", words.join(" "));
        let who = "alice".to_owned();
        self.ground.tools.push(RunningTool { process, who, words, device: verb.device(), value, began });
        Ok(())
    }

    fn settle(&mut self) -> Result<()> {
        for tool in &mut self.ground.tools {
            tool.process.thaw()?;
        }
        self.ground.part()?;
        for device in DEVICES {
            if self.ground.is_down(device) {
                bail!("the plan left the bridge of {} down", device.name());
            }
            self.recover(device)?;
        }
        self.wait("the tools to end", RECOVERY, |round| Ok(round.ground.tools.is_empty().then_some(())))?;
        for attempt in 0..5 {
            let open: Vec<Asked> =
                self.asked.iter().filter(|asked| !self.is_answered(asked)).cloned().collect();
            if open.is_empty() {
                break;
            }
            // Those that run are waited for; the others are asked for again, and those that were waited for in vain:
            // a bridge that could not save its journal, and was killed, has forgotten them.
            for asked in &open {
                if attempt > 0 || !self.is_under_way(asked) {
                    self.publish(asked)?;
                }
            }
            let asked = open.clone();
            let all = move |round: &mut Self| {
                let is_done = |asked: &Asked| round.is_answered(asked);
                Ok(asked.iter().all(is_done).then_some(()))
            };
            // What is never answered is the checker's affair.
            let limit = if open.iter().any(|asked| self.is_under_way(asked)) {
                ANSWER
            } else {
                Duration::from_secs(2)
            };
            drop(self.wait("every answer", limit, all));
        }
        self.home()
    }

    /// Waits until the bridge of a device answers, and its device does.
    fn recover(&mut self, device: Device) -> Result<()> {
        let what = format!("the {} to be well again", device.name());
        let mut asked_at = None;
        let mut id = String::new();
        self.wait(&what, RECOVERY, |round| {
            if !id.is_empty()
                && round.terminal(1, device, &id).is_some_and(|reply| reply.get("code") == Some(&json!(0)))
            {
                let state = round.ground.state(device);
                let is = |key: &str| {
                    state.as_ref().is_some_and(|state| state.get(key) == Some(&Value::Bool(true)))
                };
                let checks = state
                    .as_ref()
                    .and_then(|state| state.get("reason"))
                    .is_some_and(|reason| reason == "checking");
                return Ok((is("connected") && !checks).then_some(()));
            }
            if asked_at.is_none_or(|at| now().since(at) > Duration::from_millis(700)) {
                asked_at = Some(now());
                round.send(Verb::Ping(device), Manner::Properly, false)?;
                id = round.asked.pop().and_then(|asked| asked.request.id).unwrap_or_default();
            }
            Ok(None)
        })
    }

    /// Homes the focuser if its position is not known.
    fn home(&mut self) -> Result<()> {
        let state = self.ground.state(Device::Focuser);
        if state.is_some_and(|state| state.get("homed") == Some(&Value::Bool(true))) {
            return Ok(());
        }
        self.send(Verb::Init, Manner::Properly, true)?;
        let asked = self.asked.last().cloned().context("something was asked")?;
        self.wait("homing", ANSWER, |round| Ok(round.is_answered(&asked).then_some(())))
    }

    fn terminal(&self, client: usize, device: Device, id: &str) -> Option<Value> {
        self.reply(client, device, id).filter(|reply| reply.get("code").is_some_and(|code| !code.is_null()))
    }

    /// The last reply.
    fn reply(&self, client: usize, device: Device, id: &str) -> Option<Value> {
        let (client, _) = self.ground.clients.get(client)?;
        let topic = format!("clasp/{}/reply/{}/{id}", device.name(), client.identity());
        client.last(0, &topic)?.json().ok()
    }

    /// Nobody answers a forged request, or one of somebody whom the broker refuses.
    fn is_answered(&self, asked: &Asked) -> bool {
        let request = &asked.request;
        let id = request.id.as_deref().unwrap_or_default();
        asked.client == 3
            || request.named != request.who
            || self.terminal(asked.client, asked.device, id).is_some()
    }

    fn is_under_way(&self, asked: &Asked) -> bool {
        let id = asked.request.id.as_deref().unwrap_or_default();
        self.reply(asked.client, asked.device, id)
            .is_some_and(|reply| reply.get("code") == Some(&Value::Null))
    }
}

/// Writes until there is no room.
fn fill(path: &std::path::Path) {
    let block = [0; 4096];
    if let Ok(mut file) = fs::File::create(path) {
        while file.write_all(&block).is_ok() {}
    }
}

//! Shows a record again: reads it, waits for the time of each line, and publishes it.
#![expect(clippy::disallowed_methods, reason = "reads the clock for when a line is due")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use bus::clock::{Now, Utc};
use bus::session::client::{Acknowledged, Client};
use bus::session::connect::ClientId;
use bus::topic::{Identity, replay_clock, replayed};
use serde::Serialize;

use crate::broker::{Broker, IDENTITY, Listeners};
use crate::failure::Failure;
use crate::line::{Gap, Line, Message};
use crate::reader::Reader;
use crate::timeline::Timeline;
use crate::when::When;

const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// How often the time that is shown is told.
const TICK: Duration = Duration::from_millis(200);

/// What to show, how, and where.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The record.
    pub file: PathBuf,
    /// Where to begin, if not at its beginning.
    pub from: Option<When>,
    /// Where to end, if not at its end.
    pub to: Option<When>,
    /// Seconds of the record in each second.
    pub speed: f64,
    /// The port of the page and of WebSockets.
    pub web_port: u16,
    /// The port of plain MQTT, if that is wanted.
    pub mqtt_port: Option<u16>,
    /// The folder of the web panel, if there is one.
    pub page: Option<PathBuf>,
}

/// What is told of the time that is shown.
#[derive(Serialize)]
struct Clock {
    kind: &'static str,
    at: Utc,
    from: Utc,
    speed: f64,
    program: String,
    sites: Vec<String>,
    gap: Option<Gap>,
    ended: bool,
}

/// Replays until `stopped`; `say` tells the user what goes on.
///
/// # Errors
/// The record cannot be read, or its broker cannot be started.
pub async fn replay(
    plan: &Plan,
    say: impl Fn(&str),
    stopped: impl Future<Output = ()>,
) -> Result<(), Failure> {
    let reader = Reader::open(&plan.file)?;
    let start = reader.header.started_at;
    let from = plan.from.map_or(start, |from| from.in_record(start)).max(start);
    let to = plan.to.map(|to| to.in_record(from));
    if let Some(to) = to.filter(|to| *to <= from) {
        return Err(Failure::Usage(format!("--to {to} is not after the beginning, {from}")));
    }
    let listeners = Listeners { web: plan.web_port, mqtt: plan.mqtt_port, page: plan.page.clone() };
    let broker = Broker::start(&listeners).await?;
    let shown = tokio::select! {
        shown = show(plan, reader, (from, to), &broker, &say) => shown,
        () = stopped => Ok(()),
    };
    broker.stop().await;
    shown
}

async fn show(
    plan: &Plan,
    mut reader: Reader<'static>,
    (from, to): (Utc, Option<Utc>),
    broker: &Broker,
    say: &impl Fn(&str),
) -> Result<(), Failure> {
    let mut stage = Stage::open(plan, &reader, from, broker).await?;
    let mut before = BTreeMap::new();
    let mut has_begun = false;
    let mut last = reader.header.started_at;
    let mut cut_at = None;
    while let Some(line) = reader.next_line()? {
        // A clock that was set back does not turn the time of the replay back.
        let date = last.max(date(&line));
        cut_at = to.filter(|to| date > *to);
        if cut_at.is_some() {
            break;
        }
        last = date;
        if date < from {
            // What was true at the beginning is shown at the beginning.
            if let Line::Message(message) = line
                && replayed(&message.topic).is_some_and(|again| again.retained)
            {
                before.insert(message.topic.clone(), message);
            }
            continue;
        }
        if !has_begun {
            for message in std::mem::take(&mut before).into_values() {
                stage.publish(message).await?;
            }
            has_begun = true;
            stage.begin().await?;
            say(&announced(plan, broker.page(), from));
        }
        if let Line::Gap(gap) = &line {
            stage.clock.gap = Some(gap.clone());
        }
        stage.wait_for(date).await?;
        stage.clock.gap = None;
        if let Line::Message(message) = line {
            stage.publish(message).await?;
        }
    }
    if !has_begun {
        let problem = format!("the record ends at {last}: there is nothing to show from {from} on");
        return Err(Failure::Usage(problem));
    }
    if let Some(to) = cut_at {
        stage.wait_for(to).await?;
    }
    let why = match cut_at {
        Some(_) => "the replay ends here (--to)",
        None if reader.is_cut_off() => "the record ends here: the recording was killed",
        None => "the record ends here",
    };
    say(&format!("{why}; what is shown stays until Ctrl-C"));
    stage.clock.ended = true;
    loop {
        stage.tick().await?;
        stage.client.next_message(Duration::from_secs(1)).await?;
    }
}

fn announced(plan: &Plan, page: u16, from: Utc) -> String {
    let mut text = format!("replaying {} from {from}, {} times as fast", plan.file.display(), plan.speed);
    let web = plan.web_port;
    match &plan.page {
        Some(_) if page == web => text.push_str(&format!("\nthe web panel: http://127.0.0.1:{web}/?replay")),
        Some(_) => text.push_str(&format!(
            "\nthe web panel: http://127.0.0.1:{page}/?replay&broker=ws://127.0.0.1:{web}/mqtt"
        )),
        None => text.push_str(&format!(
            "\nno web panel is installed here (--panel FOLDER); its broker: ws://127.0.0.1:{web}/mqtt"
        )),
    }
    if let Some(port) = plan.mqtt_port {
        text.push_str(&format!(
            "\neverything as text: XDG_CONFIG_HOME=/ mosquitto_sub -h 127.0.0.1 -p {port} -v -t 'replay/#'"
        ));
    }
    text
}

fn date(line: &Line) -> Utc {
    match line {
        Line::Header(header) => header.started_at,
        Line::Message(message) => message.received,
        Line::Gap(gap) => gap.to,
        Line::End(end) => end.date,
    }
}

struct Stage {
    client: Box<Client>,
    timeline: Timeline,
    clock: Clock,
    ticked: Now,
}

impl Stage {
    async fn open(plan: &Plan, reader: &Reader<'_>, from: Utc, broker: &Broker) -> Result<Self, Failure> {
        let identity = Identity::new(IDENTITY).map_err(|error| Failure::Broker(error.to_string()))?;
        let id = ClientId::random(&identity).map_err(|error| Failure::Broker(error.to_string()))?;
        let settings = broker.settings();
        let client = Client::connect(&settings, &id, CONNECT_LIMIT);
        let clock = Clock {
            kind: "clock",
            at: from,
            from,
            speed: plan.speed,
            program: reader.header.program.clone(),
            sites: reader.header.sites.clone(),
            gap: None,
            ended: false,
        };
        let now = Now::read();
        let timeline = Timeline::new(now.instant, from, plan.speed);
        Ok(Self { client: Box::new(Box::pin(client).await?), timeline, clock, ticked: now })
    }

    /// From now on the time runs.
    async fn begin(&mut self) -> Result<(), Failure> {
        self.timeline = Timeline::new(Now::read().instant, self.clock.from, self.clock.speed);
        self.tick().await
    }

    /// Waits until `date` is to be shown, and tells the time meanwhile.
    async fn wait_for(&mut self, date: Utc) -> Result<(), Failure> {
        loop {
            let now = Now::read();
            let rest = self.timeline.until(date, now.instant);
            self.clock.at = self.timeline.shown(now.instant, date);
            if now.instant.since(self.ticked.instant) >= TICK {
                self.tick().await?;
            }
            if rest.is_zero() {
                return Ok(());
            }
            self.client.next_message(rest.min(TICK)).await?;
        }
    }

    async fn tick(&mut self) -> Result<(), Failure> {
        self.ticked = Now::read();
        let text = serde_json::to_string(&self.clock).map_err(|error| Failure::Broker(error.to_string()))?;
        self.tell(&replay_clock(), text, true).await
    }

    async fn publish(&mut self, message: Message) -> Result<(), Failure> {
        let Some(again) = replayed(&message.topic) else { return Ok(()) };
        let line = Line::Message(message);
        let text = serde_json::to_string(&line).map_err(|error| Failure::Broker(error.to_string()))?;
        self.tell(&again.topic, text, again.retained).await
    }

    async fn tell(&mut self, topic: &str, text: String, retained: bool) -> Result<(), Failure> {
        match self.client.tell(topic, text, retained).await? {
            Acknowledged::Taken | Acknowledged::NobodyListens => Ok(()),
            refused => Err(Failure::Broker(format!("the replay's own broker refused {topic}: {refused:?}"))),
        }
    }
}

//! Home Assistant: how soon all entities are told after its birth, and what that costs a bridge.

#![expect(clippy::disallowed_methods, reason = "measures time")]

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use bus::clock::Now;
use bus::homeassistant::{HomeAssistant, entities};
use bus::message::Meta;
use bus::topic::{Identity, birth};
use testbed::client::{Post, TestClient};
use testbed::wait::wait_for;

use crate::figures::memory_at_rest;
use crate::report::{Judged, Report, milliseconds};
use crate::stage::{LIMIT, Stage, instant_line};

const BIRTHS: usize = 10;
const NAME: &str = "homeassistant";

pub(crate) fn measure(report: &mut Report) -> Result<()> {
    let stage = Stage::start(instant_line(), None)?;
    let without = memory_at_rest(stage.bridge.pid())?;
    stage.stop()?;
    let stage = Stage::start_told_to_home_assistant(instant_line())?;
    births(&stage, report)?;
    let with = memory_at_rest(stage.bridge.pid())?;
    stage.stop()?;
    report.add(
        "discovery: memory, more than without",
        "MiB",
        Some((Judged::Median, 0.5)),
        vec![with - without],
    )
}

/// Where something is told.
fn topics(stage: &Stage, home: &TestClient) -> Result<BTreeSet<String>> {
    home.subscribe(&stage.base.meta())?;
    let meta = home.wait_for(|message| message.topic == stage.base.meta(), LIMIT)?;
    let meta: Meta = serde_json::from_slice(&meta.payload).context("read meta")?;
    let identity = Identity::new(NAME).map_err(anyhow::Error::msg)?;
    let settings = HomeAssistant { identity, prefix: NAME.to_owned(), link_topic: None };
    Ok(entities(&meta, &stage.base, &settings).into_iter().map(|entity| entity.topic).collect())
}

fn births(stage: &Stage, report: &mut Report) -> Result<()> {
    let home = TestClient::connect(&stage.broker, NAME)?;
    let topics = topics(stage, &home)?;
    home.subscribe(&stage.base.discovery_filter(NAME))?;
    // When the last of them was told, once all were.
    let told = |mark| {
        let told: Vec<_> = home
            .messages()
            .into_iter()
            .skip(mark)
            .filter(|message| topics.contains(&message.topic))
            .collect();
        let all: BTreeSet<_> = told.iter().map(|message| &message.topic).collect();
        (all.len() == topics.len()).then(|| told.iter().map(|message| message.at.instant).max()).flatten()
    };
    wait_for("what follows on the connection", LIMIT, || told(0))?;
    let mut samples = Vec::new();
    for _ in 0..BIRTHS {
        let mark = home.mark();
        let begin = Now::read().instant;
        home.publish(Post::to(birth(NAME), "online"))?;
        let last = wait_for("all entities", LIMIT, || told(mark))?;
        samples.push(milliseconds(last.since(begin)));
    }
    report.add(
        "discovery: all told after Home Assistant's birth",
        "ms",
        Some((Judged::Worst, 5000.0)),
        samples,
    )
}

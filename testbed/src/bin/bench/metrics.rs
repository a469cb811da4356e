//! Prometheus: how long a scrape of a hundred devices takes.

#![expect(clippy::disallowed_methods, reason = "measures time")]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use anyhow::{Context as _, Result, ensure};
use bus::clock::Now;
use bus::topic::Base;
use testbed::broker::AclMode;
use testbed::client::{Post, TestClient};
use testbed::wait::wait_for;

use crate::report::{Judged, Report, milliseconds};
use crate::stage::{LIMIT, Stage, instant_line};

const DEVICES: usize = 100;
const SCRAPES: usize = 100;

pub(crate) fn measure(report: &mut Report) -> Result<()> {
    let mut stage = Stage::start(instant_line(), None)?;
    // One client may speak for any device.
    stage.broker.reload(&AclMode::Open.text())?;
    let mut exporter = stage.tool("obsbus", &["metrics", "--listen", "127.0.0.1:0"])?.spawn()?;
    let line = exporter.wait_for_line(|line| line.contains("serving http://"), LIMIT)?;
    let address = line.split("http://").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or_default();
    play(&stage)?;
    let current = |text: &str| text.matches("obsbus_state_current{").count();
    wait_for("all devices", LIMIT, || scrape(address).ok().filter(|text| current(text) > DEVICES))?;
    let mut samples = Vec::new();
    for _ in 0..SCRAPES {
        let begin = Now::read().instant;
        let text = scrape(address)?;
        samples.push(milliseconds(Now::read().instant.since(begin)));
        ensure!(current(&text) > DEVICES, "a device is missing");
    }
    report.add("metrics: a scrape of 100 devices", "ms", Some((Judged::P99, 50.0)), samples)?;
    exporter.terminate()?;
    exporter.wait_exit(LIMIT)?;
    stage.stop()
}

/// A hundred devices that say what the real one says.
fn play(stage: &Stage) -> Result<()> {
    let player = TestClient::connect(&stage.broker, "player")?;
    // A hundred devices with one session are not what the contract has in mind.
    player.stop_judging();
    let of = |base: &Base| [base.meta(), base.availability(), base.health(), base.state()];
    let mut said = Vec::new();
    for topic in of(&stage.base) {
        player.subscribe(&topic)?;
        said.push(player.wait_for(|message| message.topic == topic, LIMIT)?.payload);
    }
    for number in 0..DEVICES {
        let base = Base::new("clasp", &format!("device-{number}")).map_err(anyhow::Error::msg)?;
        for (topic, payload) in of(&base).into_iter().zip(&said) {
            player.publish(Post::to(topic, payload.clone()).retained())?;
        }
    }
    player.close();
    Ok(())
}

fn scrape(address: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address).context("reach the exporter")?;
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

//! The controller alone over a year of weather and camera nights, stepped by the minute.
//!
//! There is no byte here: requests are answered by a sketch of the unit. What the services publish
//! is at times silent, stale, renamed or nonsense. `OBSBUS_YEAR_DAYS` says how many days.

use std::collections::VecDeque;
use std::time::Duration;

use bridge::controller::{Controller as _, DeviceRefusal, Input};
use bus::clock::{Instant, Now, Utc};
use chiller_bridge::controller::{Chiller, Memory};
use chiller_bridge::daemon::controller_settings;
use chiller_bridge::protocol::{Reply, Request, Status, Temperature, UnitMode};

use crate::site::{DOME, POWER, with_inputs};
use crate::weather::Weather;
use crate::winter::setting;
use rig::SeededRandom;

const MINUTE: Duration = Duration::from_secs(60);
const SET_POINT: f64 = 15.0;
/// Stale after 60 s, held for 300 s, and the minute that is under way.
const LONGEST_DRY_MINUTES: u64 = 7;
const SWITCHINGS_PER_HOUR: usize = 10;

/// What a service does for a while.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Service {
    Speaks,
    Silent,
    Renamed,
    Nonsense,
    Unknown,
}

struct Year {
    chiller: Chiller,
    now: Now,
    minute: u64,
    weather: Weather,
    chance: SeededRandom,
    services: [(Service, u64); 2],
    pump_on: bool,
    water: f64,
    switchings: VecDeque<u64>,
    dry: u64,
    dry_though_known: u64,
    unneeded: u64,
    starts: u64,
}

impl Year {
    fn new(seed: u64) -> Self {
        let now = Now {
            instant: Instant::from_boot(Duration::from_secs(1000)),
            utc: Utc::parse("2026-07-01T12:00:00Z").expect("a date"),
        };
        let settings = controller_settings(&with_inputs());
        Self {
            chiller: Chiller::new(settings, Memory::First(chiller_device::Mode::Automatic), now),
            now,
            minute: 0,
            weather: Weather::new(seed),
            chance: SeededRandom::new(seed),
            services: [(Service::Speaks, 0); 2],
            pump_on: false,
            water: 15.0,
            switchings: VecDeque::new(),
            dry: 0,
            dry_though_known: 0,
            unneeded: 0,
            starts: 0,
        }
    }

    fn step(&mut self) {
        self.weather.turn(self.minute);
        for index in 0..2 {
            self.change_service(index);
        }
        self.publish();
        // Twice a minute, so that no delay falls between two steps.
        for _ in 0..2 {
            self.serve();
            self.now = self.now.after(MINUTE / 2);
        }
        let goal = if self.pump_on { SET_POINT } else { self.weather.celsius };
        self.water += (goal - self.water) / if self.pump_on { 4.0 } else { 30.0 };
        self.check();
        crate::sentence::check(&self.chiller, self.now);
        self.minute += 1;
    }

    fn change_service(&mut self, index: usize) {
        let Some((service, until)) = self.services.get_mut(index) else { return };
        if self.minute < *until {
            return;
        }
        if *service != Service::Speaks {
            (*service, *until) = (Service::Speaks, 0);
        } else if self.chance.below(2000) == 0 {
            *service =
                self.chance.of(&[Service::Silent, Service::Renamed, Service::Nonsense, Service::Unknown]);
            *until = self.minute + 1 + self.chance.below(120);
        }
    }

    fn publish(&mut self) {
        let (date, camera, celsius) = (self.now.utc, self.weather.camera, self.weather.celsius);
        let [(power, _), (dome, _)] = self.services;
        let power = match power {
            Service::Silent => None,
            Service::Speaks => {
                Some(format!(r#"{{"date":"{date}","channels":{{"cmos":{camera},"swir":false}}}}"#))
            }
            Service::Renamed => {
                Some(format!(r#"{{"date":"{date}","channels":{{"cam1":{camera},"swir":false}}}}"#))
            }
            Service::Nonsense => Some("\u{fffd}{".to_owned()),
            Service::Unknown => {
                Some(format!(r#"{{"date":"{date}","channels":{{"cmos":null,"swir":false}}}}"#))
            }
        };
        let dome = match dome {
            Service::Silent => None,
            Service::Speaks => Some((celsius, "internal_temperature_valid", true)),
            Service::Renamed => Some((celsius, "valid", true)),
            Service::Nonsense => Some((255.0, "internal_temperature_valid", true)),
            Service::Unknown => Some((0.0, "internal_temperature_valid", false)),
        };
        let dome = dome.map(|(celsius, key, valid)| {
            format!(r#"{{"date":"{date}","internal_temperature":{celsius:.1},"{key}":{valid}}}"#)
        });
        for (topic, payload) in [(POWER, power), (DOME, dome)] {
            if let Some(payload) = payload {
                let input = Input { topic, payload: payload.as_bytes(), stored: false };
                self.chiller.handle_input(input, self.now);
            }
        }
    }

    /// Answers everything that is asked, and lets the time come that was wished for.
    fn serve(&mut self) {
        if self.chiller.poll_timeout().is_some_and(|at| at <= self.now.instant) {
            self.chiller.handle_timeout(self.now);
        }
        while let Some(request) = self.chiller.poll_request(self.now) {
            let reply = self.answer(&request);
            self.chiller.handle_reply(request, reply, self.now);
        }
        while self.chiller.poll_effect().is_some() {}
    }

    fn answer(&mut self, request: &Request) -> Result<Reply, DeviceRefusal> {
        let celsius = |celsius| Temperature::from_celsius(celsius).map(Reply::Temperature);
        let unit_mode = if self.pump_on { UnitMode::Run } else { UnitMode::Standby };
        let status = Status { unit_mode, pump_on: self.pump_on, alarm: false, warning: false };
        let reply = match request {
            Request::ReadStatus => Some(Reply::Status(status)),
            Request::ReadSetTemperature => celsius(SET_POINT),
            Request::ReadSupplyTemperature => celsius(self.water),
            Request::ReadAmbientTemperature => celsius(self.weather.celsius + 1.0),
            Request::SetRunning(on) => {
                self.pump_on = *on;
                self.starts += u64::from(*on);
                self.switchings.push_back(self.minute);
                Some(Reply::Accepted)
            }
            _ => None,
        };
        reply.ok_or_else(|| DeviceRefusal("not fitted".to_owned()))
    }

    fn check(&mut self) {
        let known = self.services.iter().all(|(service, _)| *service == Service::Speaks);
        let dry = self.weather.camera && !self.pump_on;
        self.dry = if dry { self.dry + 1 } else { 0 };
        self.dry_though_known = if dry && known { self.dry_though_known + 1 } else { 0 };
        while self.switchings.front().is_some_and(|at| at + 60 < self.minute) {
            self.switchings.pop_front();
        }
        // After a failed sensor the last value may be an hour old, and ten degrees off.
        let freezing = !self.pump_on && (self.water < 4.5 || self.weather.celsius < 3.5);
        let needless = known && !self.weather.camera && self.weather.celsius > 8.0 && self.water > 14.0;
        self.unneeded = if needless && self.pump_on { self.unneeded + 1 } else { 0 };
        let broken = [
            (self.dry > LONGEST_DRY_MINUTES, "a powered camera has no water"),
            (self.dry_though_known > 1, "a camera that is known to be powered has no water"),
            (freezing, "it freezes and the pump is off"),
            (self.switchings.len() > SWITCHINGS_PER_HOUR, "it switches to and fro"),
            (self.unneeded > 12, "a powered-off, warm system does not end off"),
        ];
        if let Some((_, rule)) = broken.into_iter().find(|(broken, _)| *broken) {
            let state = (self.chiller.facts(self.now), self.chiller.state(self.now));
            panic!("{rule}; water {}, air {}: {state:#?}", self.water, self.weather.celsius);
        }
    }
}

#[test]
fn in_a_year_of_weather_no_camera_is_dry_nothing_freezes_and_nothing_runs_for_nothing() {
    let (days, seeds) = (setting("OBSBUS_YEAR_DAYS", 30), setting("OBSBUS_YEAR_SEEDS", 2));
    for seed in 1..=seeds {
        let mut year = Year::new(seed);
        for minute in 0..days * 1440 {
            let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| year.step()));
            assert!(
                ran.is_ok(),
                "seed {seed}, minute {minute}: OBSBUS_YEAR_DAYS={days} OBSBUS_YEAR_SEEDS={seed}"
            );
        }
        assert!(year.starts > days / 4, "the weather asks for something: {} starts", year.starts);
    }
}

//! The settings of automatic control: limits and delays, and where its inputs are published.

use std::time::Duration;

use bus::settings::Section;
use bus::topic;

use crate::controller::inputs::{DomeSettings, PowerFormat, PowerSettings};
use crate::controller::rules::Rules;

const TOPIC: &str = "a topic without + # and control characters";

/// The settings of automatic control.
#[derive(Clone, Debug, PartialEq)]
pub struct AutomaticSettings {
    /// Limits and delays.
    pub rules: Rules,
    /// Camera power; `None`: no camera is known.
    pub power: Option<PowerSettings>,
    /// Dome temperature; `None`: there is no such sensor.
    pub dome: Option<DomeSettings>,
    /// Whether to try again after an alarm that the unit no longer has.
    pub alarm_retry: bool,
    /// After this time in manual mode an attention is raised.
    pub manual_long: Duration,
}

impl AutomaticSettings {
    pub(super) fn read(s: &mut Section, site: &str) -> Self {
        let enable = s.number("antifreeze_enable_limit", "degrees Celsius", -20.0..=30.0).default(5.0);
        let origin = s.origin("antifreeze_disable_limit");
        let disable = s.number("antifreeze_disable_limit", "degrees Celsius", -20.0..=30.0).default(7.0);
        if s.is_good("antifreeze_enable_limit") && s.is_good("antifreeze_disable_limit") && disable <= enable
        {
            let message = format!(
                "{disable} is not above antifreeze_enable_limit, {enable}: it would switch to and fro"
            );
            s.refuse("antifreeze_disable_limit", origin, message, Some(format!("above {enable} to 30")));
        }
        let rules = Rules {
            antifreeze_enable_limit: enable,
            antifreeze_disable_limit: disable,
            input_hold: s.seconds("input_hold", 0.0..=3600.0, 300.0),
            power_failsafe: s.choice("power_failsafe", &[("on", true), ("off", false)]).default(true),
            minimum_run_time: s.seconds("minimum_run_time", 0.0..=3600.0, 60.0),
            switch_off_delay: s.seconds("switch_off_delay", 0.0..=3600.0, 60.0),
        };
        Self {
            rules,
            alarm_retry: s.flag("alarm_retry").default(false),
            manual_long: s.seconds("manual_long", 60.0..=2_592_000.0, 43_200.0),
            power: power(s, site),
            dome: dome(s, site),
        }
    }
}

fn is_topic(topic: &str) -> bool {
    !topic.is_empty()
        && topic.len() <= 512
        && !topic.contains(|c: char| c == '+' || c == '#' || c.is_control())
}

fn power(s: &mut Section, site: &str) -> Option<PowerSettings> {
    if !s.contains("power") {
        return None;
    }
    let mut power = s.section("power");
    let channels = power
        .texts("channels")
        .check("the names of the channels that power cameras, at least one", |names| {
            !names.is_empty() && names.iter().all(|name| !name.is_empty())
        })
        .required();
    let bare = power.choice("format", &[("json", false), ("bare", true)]).default(false);
    let key = power.text("key").default("channels".to_owned());
    let date_key = power.text("date_key").default("date".to_owned());
    let max_age = power.seconds("max_age", 1.0..=3600.0, 60.0);
    let topic = if bare {
        power
            .text("topic")
            .check("a topic with {channel} in the place of the channel's name", |topic| {
                is_topic(topic) && topic.contains("{channel}")
            })
            .required()
    } else {
        power.text("topic").check(TOPIC, |topic| is_topic(topic)).default(topic::of_service(site, "power"))
    };
    s.close(power);
    let format = if bare { PowerFormat::Bare { topic } } else { PowerFormat::Json { topic, key, date_key } };
    Some(PowerSettings { channels, format, max_age })
}

fn dome(s: &mut Section, site: &str) -> Option<DomeSettings> {
    if !s.contains("dome") {
        return None;
    }
    let mut dome = s.section("dome");
    let valid_key = dome.text("valid_key").default("internal_temperature_valid".to_owned());
    let settings = DomeSettings {
        topic: dome
            .text("topic")
            .check(TOPIC, |topic| is_topic(topic))
            .default(topic::of_service(site, "domealert")),
        key: dome.text("key").default("internal_temperature".to_owned()),
        valid_key: Some(valid_key).filter(|key| !key.is_empty()),
        date_key: dome.text("date_key").default("date".to_owned()),
        max_age: dome.seconds("max_age", 1.0..=3600.0, 60.0),
    };
    s.close(dome);
    Some(settings)
}

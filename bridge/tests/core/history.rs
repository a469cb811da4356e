//! When the core publishes and saves the history, with a device of one figure.

use bridge::core::{Event, File, Output, PreviousRun};
use bridge::history::SavedHistory;
use bus::message::{Health, History};
use bus::session::bridge::SessionEvent;

use crate::rig::{Rig, full};

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
fn the_history_follows_within_five_seconds_of_each_connection() {
    let mut rig = Rig::new();
    let outputs = rig.connect();
    assert!(outputs.contains(&Output::Open(1)));
    assert_eq!(published(&outputs), [], "nothing that can wait delays what cannot");
    rig.let_pass(5);
    assert_eq!(published(&rig.outputs()).len(), 1);
    rig.core.handle(Event::Session(SessionEvent::Lost { error: "gone".to_owned() }), rig.now);
    rig.let_pass(30);
    assert_eq!(published(&rig.outputs()), []);
    assert!(rig.connect().contains(&Output::Open(2)));
    rig.let_pass(5);
    let history = published(&rig.outputs()).remove(0);
    assert_eq!(history.columns["water_temp"], [Some(10.0)]);
    assert!(rig.now.utc.seconds_since(history.date) < 5.0);
}

#[test]
fn it_is_published_every_minute_and_saved_whenever_a_bin_closes() {
    let mut rig = Rig::new();
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
    let mut rig = Rig::new();
    rig.let_pass(600);
    let outputs = rig.outputs();
    assert_eq!((published(&outputs).len(), saved(&outputs).len()), (0, 2));
}

#[test]
fn a_clean_stop_saves_what_the_running_bin_has_and_the_next_start_goes_on_from_it() {
    let mut rig = Rig::new();
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
    let mut next = Rig::with(PreviousRun {
        history: Some(SavedHistory { history: earlier, out_of_sight: Vec::new() }),
        ..PreviousRun::default()
    });
    next.connect();
    next.let_pass(5);
    let published = published(&next.outputs()).remove(0);
    // The mean of what was left and of what was measured since.
    assert!(published.columns["water_temp"][0].is_some_and(|mean| (5.0..5.5).contains(&mean)));
}

#[test]
fn a_history_that_cannot_be_saved_is_no_secret_until_it_can() {
    let mut rig = Rig::new();
    rig.disk_hangs = true;
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
    rig.core.handle(Event::Saved(File::History, 1, Err(full())), rig.now);
    assert_eq!(health(&rig.outputs()), Some(false));
    // A smaller file that still fits does not make it well.
    rig.core.handle(Event::Saved(File::Commands, 1, Ok(())), rig.now);
    assert_eq!(health(&rig.outputs()), None);
    rig.core.handle(Event::Saved(File::History, 2, Ok(())), rig.now);
    assert_eq!(health(&rig.outputs()), Some(true));
}

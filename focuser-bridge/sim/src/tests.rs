//! The focuser by itself: what it answers, how it moves, what its chip refuses.

use super::*;
use bus::transcript::What;

const TRANSCRIPT: &str = include_str!("../../transcript.txt");

/// A focuser and the time.
struct Bench {
    focuser: Focuser,
    now: Instant,
}

fn milliseconds(number: u64) -> Duration {
    Duration::from_millis(number)
}

impl Bench {
    fn new(config: Config) -> Self {
        let now = Instant::from_boot(Duration::from_secs(1000));
        let mut focuser = Focuser::new(config);
        focuser.receive(b"", now);
        Self { focuser, now }
    }

    /// Set up as both drivers do.
    fn ready(config: Config) -> Self {
        let mut bench = Self::new(config);
        for order in ["#P132 F 41$", "#P052 F 437$", "#P062 F 437$", "#P031 F $", "#E002 F 3$"] {
            bench.tell(order);
        }
        bench
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.focuser.receive(b"", self.now);
    }

    fn tell(&mut self, order: &str) {
        self.focuser.receive(format!("{order}\n").as_bytes(), self.now);
    }

    /// What comes back within a second, without its line feed.
    fn ask(&mut self, request: &str) -> String {
        self.tell(request);
        let limit = self.now + Duration::from_secs(1);
        let mut reply = Vec::new();
        while !reply.ends_with(b"\n")
            && let Some(at) = self.focuser.poll_timeout().filter(|at| *at <= limit)
        {
            self.now = self.now.max(at) + milliseconds(1);
            reply.extend(self.focuser.poll_output(self.now));
        }
        String::from_utf8_lossy(&reply).trim_end().to_owned()
    }

    fn letters(&mut self) -> String {
        self.ask("#S001 F$")[8..11].to_owned()
    }

    fn position(&mut self) -> i32 {
        self.ask("#P081 F$")[8..].trim_end_matches('$').parse().expect("a number")
    }

    fn until_it_stands(&mut self) -> Duration {
        let start = self.now;
        while self.focuser.is_turning() {
            assert!(self.now.since(start) < Duration::from_secs(60), "it does not stand");
            self.pass(milliseconds(1));
        }
        self.now.since(start)
    }

    fn forbidden(&self) -> Vec<Forbidden> {
        self.focuser.violations().iter().map(|violation| violation.what).collect()
    }
}

#[test]
fn every_frame_of_the_transcript_is_known_and_the_answers_have_its_form() {
    let mut bench = Bench::new(Config::default());
    let mut answers = 0;
    let mut reply = String::new();
    let form = |frame: &str| frame.split(' ').take(2).collect::<Vec<_>>().join(" ");
    for record in bus::transcript::parse(TRANSCRIPT).expect("a transcript").remove(0).records {
        match record.what {
            What::Sent(bytes) => {
                reply = bench.ask(String::from_utf8_lossy(&bytes).trim_end());
                bench.until_it_stands();
            }
            What::Received(bytes) => {
                let recorded = String::from_utf8_lossy(&bytes);
                assert_eq!(form(&reply), form(&recorded), "{recorded}");
                answers += 1;
            }
            What::Note(note) => panic!("a note: {note}"),
        }
    }
    assert_eq!((answers, bench.focuser.ignored()), (6, 0));
    assert_eq!(bench.ask("#S051 F$"), "#S052 F 645$");
}

#[test]
fn what_means_nothing_is_not_answered() {
    let mut bench = Bench::new(Config::default());
    for request in ["#P999 F$", "#P081 G$", "P081 F$", "#P092 F x$", "#P103 F W 5$"] {
        assert_eq!(bench.ask(request), "", "{request}");
    }
    assert_eq!(bench.focuser.ignored(), 4);
}

#[test]
fn it_wakes_as_the_chip_does_and_the_flag_clears_with_motion() {
    let mut bench = Bench::new(Config::default());
    assert_eq!(bench.focuser.registers(), [0x041, 0x08A, 0x08A, 7]);
    assert_eq!((bench.position(), bench.letters().as_str()), (0, "NSU"));
    bench.tell("#P092 F 100$");
    bench.until_it_stands();
    assert_eq!((bench.position(), bench.letters().as_str()), (100, "NSO"));
}

#[test]
fn a_move_of_a_millimetre_takes_what_the_registers_say() {
    let mut bench = Bench::ready(Config::default());
    bench.tell("#P092 F -5088$");
    // 636 full steps at 625.6 per second, and v/a = 0.1 s of ramps.
    let took = bench.until_it_stands();
    assert!(took > milliseconds(1090) && took < milliseconds(1140), "{took:?}");
    assert_eq!(bench.focuser.rests().collect::<Vec<_>>(), [bench.now]);
    assert_eq!(bench.position(), -5088);
    assert!((bench.focuser.place_mm() - 3.0).abs() < 1e-9, "{}", bench.focuser.place_mm());

    let mut bench = Bench::ready(Config { quarter_steps: true, ..Config::default() });
    bench.tell("#P092 F -5088$");
    let took = bench.until_it_stands();
    assert!(took > milliseconds(2100) && took < milliseconds(2170), "{took:?}");
    assert!((bench.focuser.place_mm() - 3.0).abs() < 1e-9);
}

#[test]
fn motion_shows_a_little_after_its_order() {
    let mut bench = Bench::ready(Config {
        shows_after: milliseconds(40)..=milliseconds(40),
        latency: Duration::ZERO..=Duration::ZERO,
        ..Config::default()
    });
    bench.tell("#P092 F -5088$");
    bench.pass(milliseconds(35));
    assert_eq!(bench.letters(), "NSO");
    bench.pass(milliseconds(10));
    assert_eq!(bench.letters(), "NAO");
    bench.pass(milliseconds(300));
    assert_eq!(bench.letters(), "NCO");
}

/// What the predecessor's daemon does to home: it asks at once, every 0.1 s, and takes rest for the end.
fn origin_as_the_predecessor_finds_it(shows_after: Duration) -> i32 {
    let mut bench = Bench::ready(Config { shows_after: shows_after..=shows_after, ..Config::default() });
    bench.tell("#P103 F V 21341$");
    while !bench.letters().starts_with("NS") {
        bench.pass(milliseconds(100));
    }
    bench.tell("#P021 F $");
    bench.position()
}

#[test]
fn the_predecessor_homes_it_if_motion_shows_at_once_and_only_then() {
    assert_eq!(origin_as_the_predecessor_finds_it(Duration::ZERO), 10_176);
    assert!(origin_as_the_predecessor_finds_it(milliseconds(50)) < 1000, "it takes rest for the end");
}

#[test]
fn motion_shows_from_the_moment_of_its_order_unless_it_is_slow() {
    let mut bench = Bench::ready(Config { latency: Duration::ZERO..=Duration::ZERO, ..Config::default() });
    for order in ["#P092 F -50$", "#P103 F V 21341$"] {
        bench.tell(order);
        assert_eq!(bench.letters(), "NAO", "{order}");
        bench.tell("#P021 F $");
        bench.until_it_stands();
        assert_eq!(bench.letters(), "NSO");
    }
}

#[test]
fn the_drive_inwards_ends_at_the_stop_where_the_counter_stays() {
    let mut bench = Bench::ready(Config::default());
    bench.tell("#P103 F V 21341$");
    let took = bench.until_it_stands();
    // 2 mm at 0.5 mm/s.
    assert!(took > milliseconds(3900) && took < milliseconds(4200), "{took:?}");
    let end = bench.position();
    assert!((end - 10_176).abs() <= 1, "{end}");
    bench.tell("#P103 F V 21341$");
    bench.pass(milliseconds(500));
    assert_eq!((bench.position(), bench.letters().as_str()), (end, "NSO"));
    assert_eq!(bench.forbidden(), []);
}

#[test]
fn the_outer_end_is_harm() {
    let mut bench = Bench::ready(Config::default());
    bench.tell("#P092 F -40000$");
    bench.until_it_stands();
    assert_eq!(bench.forbidden(), [Forbidden::OuterEnd]);
    assert!((bench.focuser.outermost_mm() - 9.0).abs() < 1e-9);
}

#[test]
fn the_play_of_the_drive_is_taken_up_by_going_inwards() {
    let mut bench = Bench::ready(Config { backlash_mm: 0.3, ..Config::default() });
    let steps = |mm: f64| (mm * STEPS_PER_MM).round();
    // Where it stood before power-up nobody knows.
    for (to_mm, slack_mm) in [(0.1, 0.2), (0.5, 0.0), (0.4, 0.1), (0.45, 0.05), (-1.0, 0.3), (-0.8, 0.1)] {
        bench.tell(&format!("#P092 F {}$", steps(to_mm)));
        bench.until_it_stands();
        let slack = bench.focuser.slack_mm();
        assert!((slack - slack_mm).abs() < 0.001, "{to_mm}: {slack}");
    }
}

#[test]
fn a_stop_decelerates_and_holds() {
    let mut bench = Bench::ready(Config::default());
    bench.tell("#P092 F -20000$");
    bench.pass(milliseconds(1000));
    bench.tell("#P021 F $");
    bench.pass(milliseconds(20));
    assert_eq!(bench.letters(), "NDO");
    assert!(bench.until_it_stands() < milliseconds(120));
    assert_eq!(bench.forbidden(), []);
}

#[test]
fn the_chip_refuses_what_it_must_and_remembers() {
    let mut bench = Bench::ready(Config::default());
    bench.tell("#P103 F V 21341$");
    bench.pass(milliseconds(500));
    for order in ["#P052 F 1$", "#P062 F 1$", "#E002 F 0$"] {
        bench.tell(order);
    }
    assert_eq!(bench.focuser.registers(), [41, 437, 437, 3]);
    let acceleration = Forbidden::AccelerationWhileTurning;
    let forbidden = [acceleration, acceleration, Forbidden::StepModeOutsideHighImpedance];
    assert_eq!(bench.forbidden(), forbidden);
    bench.tell("#P031 F $");
    bench.until_it_stands();
    bench.tell("#E002 F 0$");
    assert_eq!(bench.focuser.registers()[3], 0);
    assert_eq!(bench.forbidden(), forbidden);
}

#[test]
fn a_target_that_is_sent_at_speed_sends_it_the_wrong_way_round() {
    let mut bench = Bench::ready(Config::default());
    bench.tell("#P092 F -20000$");
    bench.pass(milliseconds(1000));
    let before = bench.position();
    bench.tell("#P092 F -30000$");
    bench.pass(milliseconds(200));
    assert_eq!(bench.forbidden(), [Forbidden::GoToWhileTurning]);
    assert!(bench.position() > before, "inwards, though the target is outwards");
}

#[test]
fn the_counter_has_22_bits() {
    let mut bench = Bench::new(Config { counter: 2_097_140, ..Config::default() });
    assert_eq!((bench.position(), bench.letters().as_str()), (2_097_140, "NSO"));
    bench.tell("#P092 F -2097142$");
    bench.until_it_stands();
    assert_eq!(bench.position(), -2_097_142);
    let moved = (2.0 - bench.focuser.place_mm()) * STEPS_PER_MM;
    assert!((moved - 22.0).abs() < 1e-6, "the short way: {moved}");
    bench.tell("#P092 F 2097152$");
    bench.pass(milliseconds(1));
    assert_eq!(bench.forbidden(), [Forbidden::OutOfRegister]);
}

#[test]
fn without_power_the_counter_is_lost_and_the_place_is_not() {
    let mut bench = Bench::ready(Config::default());
    bench.tell("#P092 F -5088$");
    bench.until_it_stands();
    bench.focuser.power_cycle();
    assert_eq!((bench.position(), bench.letters().as_str()), (0, "NSU"));
    assert_eq!(bench.focuser.registers(), [0x041, 0x08A, 0x08A, 7]);
    assert!((bench.focuser.place_mm() - 3.0).abs() < 1e-9);
    bench.focuser.set_power(false);
    assert_eq!(bench.ask("#P081 F$"), "");
}

#[test]
fn the_flag_can_clear_by_reading_or_never() {
    let mut bench = Bench::new(Config { reset_flag: ResetFlag::ClearsWhenRead, ..Config::default() });
    assert_eq!((bench.letters().as_str(), bench.letters().as_str()), ("NSU", "NSO"));
    let mut bench = Bench::new(Config { reset_flag: ResetFlag::Stays, ..Config::default() });
    bench.tell("#P092 F 100$");
    bench.until_it_stands();
    assert_eq!(bench.letters(), "NSU");
}

#[test]
fn faults_of_the_motor_do_what_they_say() {
    let mut bench = Bench::ready(Config::default());
    bench.focuser.inject(Fault::StopIgnored);
    bench.tell("#P092 F -20000$");
    bench.pass(milliseconds(500));
    bench.tell("#P021 F $");
    bench.pass(milliseconds(500));
    assert_eq!(bench.letters(), "NCO");
    bench.focuser.inject(Fault::Stalled);
    bench.pass(milliseconds(1));
    let at = bench.position();
    bench.pass(milliseconds(500));
    assert_eq!((bench.position(), bench.letters().as_str()), (at, "NCO"));
    bench.focuser.clear_faults();
    bench.focuser.inject(Fault::Jammed);
    bench.pass(milliseconds(2));
    assert_eq!(bench.letters(), "NSO");
    bench.focuser.clear_faults();
    bench.focuser.inject(Fault::SlowStart(milliseconds(700)));
    bench.tell("#P092 F -20000$");
    bench.pass(milliseconds(690));
    assert_eq!((bench.position(), bench.letters().as_str()), (at, "NSO"));
    bench.pass(milliseconds(70));
    assert_eq!(bench.letters(), "NAO");
}

#[test]
fn faults_of_the_line_do_what_they_say() {
    let mut bench = Bench::new(Config { wire_time: true, ..Config::default() });
    let good = bench.ask("#S051 F$");
    for (fault, is_right) in [
        (Fault::Silent, (|reply: &str| reply.is_empty()) as fn(&str) -> bool),
        (Fault::Deaf, |reply| reply.is_empty()),
        (Fault::Garbled, |reply| reply.len() >= 11 && reply != "#S052 F 645$"),
        (Fault::Truncated, |reply| !reply.is_empty() && !reply.contains('$')),
    ] {
        bench.focuser.inject_for(fault, 1);
        let reply = bench.ask("#S051 F$");
        assert!(is_right(&reply), "{fault:?}: {reply}");
        assert_eq!(bench.ask("#S051 F$"), good, "{fault:?} is over");
    }
    bench.focuser.inject(Fault::LateByOne);
    assert_eq!(bench.ask("#S051 F$"), "");
    assert_eq!(bench.ask("#S001 F$"), good);
    bench.focuser.inject_for(Fault::Slow(milliseconds(400)), 1);
    bench.focuser.clear_faults();
    assert_eq!(bench.ask("#S051 F$"), good);
}

#[test]
fn a_counted_fault_ends_and_orders_without_a_reply_do_not_count() {
    let mut bench = Bench::new(Config::default());
    bench.focuser.inject_for(Fault::Silent, 1);
    bench.tell("#P031 F $");
    assert_eq!(bench.ask("#S051 F$"), "");
    assert_eq!(bench.ask("#S051 F$"), "#S052 F 645$");
}

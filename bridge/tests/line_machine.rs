//! What the line decides, without a port: in what order it writes, what it gives up, when it opens.

use std::time::Duration;

use bridge::line::{
    Action, Exchange, LineError, LineEvent, Machine, OpenError, PortTrouble, Rules, Terminator,
};
use bus::clock::Instant;

const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);
const RULES: Rules =
    Rules { xon_xoff: false, reopen_first: Duration::from_millis(250), reopen_max: Duration::from_secs(10) };

/// A machine whose port is the test's to play.
struct Line {
    machine: Machine,
    now: Instant,
}

impl Line {
    fn new(rules: Rules) -> Self {
        let now = Instant::from_boot(Duration::from_secs(100));
        Self { machine: Machine::new(rules, now), now }
    }

    fn open(rules: Rules) -> Self {
        let mut line = Self::new(rules);
        line.machine.reopen(line.now);
        assert_eq!(line.actions(), [Action::Open]);
        line.opened();
        assert_eq!(line.events(), [LineEvent::Opened]);
        line
    }

    fn actions(&mut self) -> Vec<Action> {
        std::iter::from_fn(|| self.machine.poll_action()).collect()
    }

    fn events(&mut self) -> Vec<LineEvent> {
        std::iter::from_fn(|| self.machine.poll_event()).collect()
    }

    fn replies(&mut self) -> Vec<Result<Vec<u8>, LineError>> {
        let reply = |event| match event {
            LineEvent::Reply(reply, _) => Some(reply),
            _ => None,
        };
        self.events().into_iter().filter_map(reply).collect()
    }

    fn opened(&mut self) {
        self.machine.opened(Ok(()), self.now);
    }

    fn ask(&mut self, exchange: &Exchange) {
        self.machine.ask(exchange.clone(), self.now);
    }

    fn stop(&mut self) {
        self.machine.write_now(b"stop".to_vec(), self.now);
    }

    fn wrote(&mut self) {
        self.machine.wrote(self.now);
    }

    fn read(&mut self, bytes: &[u8]) {
        self.machine.read(bytes, self.now);
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.machine.handle_timeout(self.now);
    }
}

fn write(bytes: &[u8]) -> Action {
    Action::Write(bytes.to_vec())
}

fn question() -> Exchange {
    Exchange::ask(b"ask\r".to_vec(), Terminator::CR, 8, SECOND)
}

fn order() -> Exchange {
    Exchange::order(b"go".to_vec(), SECOND)
}

#[test]
fn a_stop_that_comes_while_an_order_waits_for_its_gap_leaves_the_order_unwritten() {
    let mut line = Line::open(RULES);
    line.ask(&question());
    line.wrote();
    line.read(b"#\r");
    line.actions();
    line.ask(&Exchange { gap: SECOND, ..order() });
    line.pass(SECOND / 2);
    assert_eq!(line.actions(), []);
    line.stop();
    assert_eq!(line.actions(), [write(b"stop")]);
    line.wrote();
    line.pass(SECOND);
    assert_eq!(line.actions(), [], "the order follows the stop");
    assert_eq!(line.replies(), [Ok(b"#\r".to_vec()), Err(LineError::Overtaken)]);
}

#[test]
fn a_stop_stays_behind_an_order_that_the_port_has() {
    let mut line = Line::open(RULES);
    line.ask(&order());
    line.stop();
    assert_eq!(line.actions(), [Action::DiscardInput, write(b"go")]);
    line.wrote();
    assert_eq!(line.actions(), [write(b"stop")]);
    assert_eq!(line.replies(), [Ok(Vec::new())]);
}

#[test]
fn a_stop_is_written_before_the_port_is_released_or_closed_for_good() {
    for end in [Machine::release, Machine::reopen, Machine::end] {
        let mut line = Line::open(RULES);
        line.stop();
        end(&mut line.machine, line.now);
        assert_eq!(line.actions(), [write(b"stop")]);
        line.wrote();
        assert_eq!(line.actions(), [Action::Close { discard: false }]);
    }
}

#[test]
fn a_stop_that_the_port_does_not_take_is_told() {
    let failures: [fn(&mut Line); 3] = [
        |line| line.pass(SECOND),
        |line| line.machine.write_failed("input/output error".to_owned(), line.now),
        |line| line.machine.gone("unplugged", line.now),
    ];
    for fail in failures {
        let mut line = Line::open(RULES);
        line.stop();
        fail(&mut line);
        assert!(matches!(line.events()[0], LineEvent::SendImmediatelyFailed(_)));
    }
}

#[test]
fn xoff_costs_no_stop_and_lets_no_old_question_out_later() {
    let rules = Rules { xon_xoff: true, ..RULES };
    let mut line = Line::open(rules);
    line.ask(&question());
    line.wrote();
    line.actions();
    line.pass(SECOND);
    assert_eq!(line.actions(), [Action::DiscardOutput], "or the question would go out later");

    line.stop();
    line.wrote();
    line.ask(&question());
    line.wrote();
    line.actions();
    line.pass(SECOND);
    assert_eq!(line.actions(), [], "the stop before the question may still wait in the port");

    line.pass(MILLISECOND);
    line.ask(&question());
    line.wrote();
    line.read(b"#\r");
    line.ask(&question());
    line.wrote();
    line.actions();
    line.pass(SECOND);
    assert_eq!(line.actions(), [Action::DiscardOutput], "a reply has shown that the stop went out");
}

#[test]
fn a_stop_that_is_thrown_away_with_what_the_port_does_not_take_is_told() {
    let mut line = Line::open(RULES);
    line.stop();
    line.wrote();
    line.ask(&question());
    line.actions();
    line.events();
    line.pass(SECOND);
    assert_eq!(line.actions(), [Action::DiscardOutput]);
    assert!(matches!(line.events()[..], [LineEvent::SendImmediatelyFailed(_), LineEvent::Reply(Err(_), _)]));
}

#[test]
fn a_port_that_opens_after_it_was_released_is_closed_and_never_heard_of() {
    let mut line = Line::new(RULES);
    line.machine.reopen(line.now);
    line.machine.release(line.now);
    assert_eq!(line.actions(), [Action::Open]);
    line.ask(&question());
    line.opened();
    assert_eq!(line.actions(), [Action::Close { discard: false }]);
    line.machine.closed(line.now);
    line.pass(60 * SECOND);
    assert_eq!(line.actions(), []);
    assert_eq!(line.replies(), [Err(LineError::NotOpen)]);
}

#[test]
fn a_driver_that_is_stuck_is_told_once() {
    let mut line = Line::open(RULES);
    line.machine.gone("unplugged", line.now);
    assert!(matches!(line.events()[..], [LineEvent::Closed { .. }]), "at once, not when it is closed");
    for what in ["close", "open"] {
        assert_eq!(line.actions().len(), 1);
        line.pass(4 * SECOND);
        assert_eq!(line.events(), []);
        line.pass(SECOND);
        let [LineEvent::OpenFailed(error)] = &line.events()[..] else { panic!("nothing is said") };
        assert!(error.text.contains(what) && error.trouble == PortTrouble::Failed, "{error}");
        line.pass(3600 * SECOND);
        assert_eq!(line.events(), []);
        line.machine.closed(line.now);
    }
}

#[test]
fn attempts_to_open_are_ever_rarer_until_a_reply_comes() {
    let mut line = Line::new(RULES);
    line.machine.reopen(line.now);
    let mut waits = Vec::new();
    for attempt in 0..8 {
        assert_eq!(line.actions(), [Action::Open]);
        let text = format!("{}", attempt / 2);
        line.machine.opened(Err(OpenError { trouble: PortTrouble::Missing, text }), line.now);
        let wait = line.machine.poll_timeout().unwrap().since(line.now);
        waits.push(u64::try_from(wait.as_millis()).unwrap());
        line.pass(wait);
    }
    assert_eq!(waits, [250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
    assert_eq!(line.events().len(), 4, "each new reason once");

    // That something can be written proves nothing of the device.
    for (exchange, wait) in [(order(), 10_000), (question(), 250)] {
        line.actions();
        line.opened();
        line.ask(&exchange);
        line.wrote();
        line.read(b"#\r");
        line.machine.reopen(line.now);
        line.machine.closed(line.now);
        assert_eq!(line.machine.poll_timeout().unwrap().since(line.now), Duration::from_millis(wait));
        line.pass(Duration::from_millis(wait));
    }
}

#[test]
fn a_line_that_never_pauses_does_not_outrun_its_limit() {
    let mut line = Line::open(RULES);
    line.ask(&question());
    line.wrote();
    for _ in 0..1000 {
        line.read(b"noise");
        line.pass(MILLISECOND);
    }
    assert!(matches!(line.replies()[..], [Err(LineError::Overlong(_))]));
}

#[test]
fn an_end_of_several_bytes_is_found_however_they_arrive() {
    for end in [&b"\r\n"[..], b"\r\n>"] {
        let mut line = Line::open(RULES);
        let terminator = if end.len() == 2 { Terminator::CR_LF } else { Terminator::of(b"\r\n>") };
        line.ask(&Exchange { terminator: Some(terminator), ..question() });
        line.wrote();
        // Half an end, and one that is not this one's.
        for part in [&b"1\r"[..], b"2\n", b"3\r"] {
            line.read(part);
        }
        assert_eq!(line.replies(), []);
        let rest = [&end[1..], b"noise"].concat();
        line.read(&rest);
        let whole = [b"1\r2\n3", end].concat();
        assert_eq!(line.replies(), [Ok(whole)]);
    }
}

/// Repeatable chance.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// What a port of the test's does at random, and what must always hold.
#[derive(Default)]
struct Observed {
    open: bool,
    opening: bool,
    closing: bool,
    writing: Option<Vec<u8>>,
    written: Vec<Vec<u8>>,
    told_open: bool,
    asked: usize,
    answered: usize,
    failed: usize,
}

impl Observed {
    fn look(&mut self, line: &mut Line, may_open: bool) {
        for action in line.actions() {
            match action {
                Action::Open => {
                    let free = !self.open && !self.opening && !self.closing;
                    assert!(may_open && free, "it opens what it must not");
                    self.opening = true;
                }
                Action::Close { .. } => {
                    assert!(std::mem::replace(&mut self.open, false));
                    (self.closing, self.writing) = (true, None);
                }
                Action::Write(bytes) => {
                    assert!(self.open && self.writing.is_none(), "two writes at once");
                    self.writing = Some(bytes);
                }
                Action::DiscardOutput => self.writing = None,
                Action::DiscardInput => assert!(self.open),
            }
        }
        for event in line.events() {
            match event {
                LineEvent::Opened => assert!(!std::mem::replace(&mut self.told_open, true)),
                LineEvent::Closed { .. } => assert!(std::mem::replace(&mut self.told_open, false)),
                LineEvent::Reply(..) => self.answered += 1,
                LineEvent::SendImmediatelyFailed(_) => self.failed += 1,
                LineEvent::OpenFailed(_) => {}
            }
        }
    }

    fn port_acts(&mut self, line: &mut Line, chance: &mut Chance) {
        if std::mem::take(&mut self.closing) {
            line.machine.closed(line.now);
        } else if std::mem::take(&mut self.opening) {
            if chance.below(4) > 0 {
                self.open = true;
                line.opened();
            } else {
                let text = "no".to_owned();
                line.machine.opened(Err(OpenError { trouble: PortTrouble::Failed, text }), line.now);
            }
        } else if let Some(bytes) = self.writing.take() {
            if chance.below(8) > 0 {
                self.written.push(bytes);
                line.wrote();
            } else {
                line.machine.write_failed("input/output error".to_owned(), line.now);
            }
        }
    }
}

#[test]
fn whatever_happens_each_question_ends_once_each_stop_is_written_or_told_and_nothing_opens_unasked() {
    for seed in 0..300 {
        let mut chance = Chance(seed);
        let mut line = Line::new(Rules { xon_xoff: seed % 2 == 0, ..RULES });
        let (mut seen, mut may_open, mut stops) = (Observed::default(), false, 0_usize);
        for _ in 0..400 {
            match chance.below(12) {
                0 => {
                    seen.asked += 1;
                    line.ask(&Exchange { gap: MILLISECOND * 5, ..question() });
                }
                1 => {
                    seen.asked += 1;
                    line.ask(&order());
                }
                2 | 3 => {
                    stops += 1;
                    line.stop();
                }
                4 => {
                    may_open = true;
                    line.machine.reopen(line.now);
                }
                5 => {
                    may_open = false;
                    line.machine.release(line.now);
                }
                6 if seen.open => line.machine.gone("unplugged", line.now),
                7 if seen.open => line.read(b"#1\r"),
                8 => line.pass(Duration::from_millis(chance.below(1500))),
                _ => seen.port_acts(&mut line, &mut chance),
            }
            seen.look(&mut line, may_open);
        }
        line.machine.end(line.now);
        seen.look(&mut line, false);
        for _ in 0..20 {
            seen.port_acts(&mut line, &mut chance);
            line.pass(SECOND);
            seen.look(&mut line, false);
        }
        assert!(line.machine.is_over(), "seed {seed}: {:?}", line.machine);
        assert_eq!(seen.asked, seen.answered, "seed {seed}");
        let written = seen.written.iter().filter(|bytes| *bytes == b"stop").count();
        // One that went out and may have been thrown away later is told as well.
        assert!(written + seen.failed >= stops, "seed {seed}: {stops} {written} {}", seen.failed);
    }
}

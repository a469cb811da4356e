//! A simulated instrument with a protocol of text lines: serial side, faults and console are here;
//! its [`TextModel`] defines its behaviour and replies.

use std::ops::RangeInclusive;
use std::time::Duration;

use bus::clock::Instant;

use crate::fault::{self, ConsoleError, Faults, ReplyFault, number};
use crate::port::Device;
use crate::sim_console::{SimConsole, Word};
use crate::uart::Uart;

/// A line without an end is discarded beyond this length.
const LONGEST: usize = 256;

/// An instrument's behaviour and replies.
pub trait TextModel: Send + Sized + 'static {
    /// Its console words besides faults, for `help`.
    const HELP: &'static str;
    /// The same, with the action of each word.
    const WORDS: &'static [Word<TextUnit<Self>>];

    /// The reply to a line, both without their ends; `None` if there is none.
    fn answer(&mut self, request: &str) -> Option<String>;
    /// Lets time pass until `now`.
    fn pass(&mut self, now: Instant) {
        let _ = now;
    }
    /// Mains off and on.
    fn power_cycle(&mut self) {}
    /// Its state, in one line.
    fn describe(&self) -> String;
}

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextFault {
    /// Requests are not received.
    Deaf,
    /// Requests are executed but not answered.
    Silent,
    /// One bit of each reply is flipped.
    Garbled,
    /// Each reply ends early.
    Truncated,
    /// Each reply is sent in place of the next one.
    LateByOne,
    /// Each reply is delayed by this time.
    Slow(Duration),
}

impl fault::Fault for TextFault {
    const USAGE: &'static str = "deaf | silent | garbled | truncated | late-by-one | slow MILLISECONDS; \
         a number after it: for so many answers";

    fn named<'a>(
        kind: &str,
        value: impl FnOnce() -> Result<&'a str, ConsoleError>,
    ) -> Result<Option<Self>, ConsoleError> {
        Ok(Some(match kind {
            "deaf" => Self::Deaf,
            "silent" => Self::Silent,
            "garbled" => Self::Garbled,
            "truncated" => Self::Truncated,
            "late-by-one" => Self::LateByOne,
            "slow" => Self::Slow(Duration::from_millis(number(value()?, 0..=600_000)?)),
            _ => return Ok(None),
        }))
    }

    fn is_of_replies(self) -> bool {
        true
    }

    fn harm(self) -> Option<ReplyFault> {
        Some(match self {
            Self::Deaf => return None,
            Self::Silent => ReplyFault::Lost,
            Self::Garbled => ReplyFault::Garbled,
            Self::Truncated => ReplyFault::Truncated,
            Self::LateByOne => ReplyFault::HeldBack,
            Self::Slow(longer) => ReplyFault::Delayed(longer),
        })
    }
}

/// See the module.
#[derive(Debug)]
pub struct TextUnit<M> {
    /// Its model.
    pub model: M,
    uart: Uart,
    faults: Faults<TextFault>,
    line: Vec<u8>,
    heard: Vec<String>,
}

impl<M: TextModel> TextUnit<M> {
    /// An instrument that replies within this time; `character_time` is that of a byte on the wire.
    #[must_use]
    pub fn new(model: M, latency: RangeInclusive<Duration>, character_time: Duration) -> Self {
        let uart = Uart::new(latency, character_time, 1, 1);
        Self { model, uart, faults: Faults::default(), line: Vec::new(), heard: Vec::new() }
    }

    /// Activates a fault, for this many replies or until cleared.
    pub fn inject(&mut self, fault: TextFault, answers: Option<u32>) {
        self.faults.put(fault, answers);
    }

    /// Every received line, without its end.
    #[must_use]
    pub fn heard(&self) -> &[String] {
        &self.heard
    }

    fn obey(&mut self, request: String, at: Instant) {
        let faults = self.faults.take(|_| true);
        if faults.contains(&TextFault::Deaf) {
            return;
        }
        let answer = self.model.answer(&request);
        self.heard.push(request);
        if let Some(answer) = answer {
            self.uart.send((answer + "\n").into_bytes(), &faults, at);
        }
    }
}

impl<M: TextModel> Device for TextUnit<M> {
    const LAST_BYTE: u8 = b'\n';

    fn receive(&mut self, bytes: &[u8], now: Instant) {
        self.uart.receive(bytes, now);
        while let Some((at, byte)) = self.uart.hear(now) {
            self.model.pass(at);
            match byte {
                b'\n' => {
                    let line = std::mem::take(&mut self.line);
                    self.obey(String::from_utf8_lossy(&line).trim_end().to_owned(), at);
                }
                _ if self.line.len() >= LONGEST => self.line.clear(),
                _ => self.line.push(byte),
            }
        }
        self.model.pass(now);
    }

    fn poll_output(&mut self, now: Instant) -> Vec<u8> {
        self.receive(&[], now);
        self.uart.poll_output(now)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let next = |queue: &std::collections::VecDeque<(Instant, u8)>| queue.front().map(|(at, _)| *at);
        next(&self.uart.incoming).into_iter().chain(next(&self.uart.outgoing)).min()
    }
}

impl<M: TextModel> SimConsole for TextUnit<M> {
    type Fault = TextFault;
    const HELP: &'static str = M::HELP;
    const WORDS: &'static [Word<Self>] = M::WORDS;
    const SHORT_FAULTS: &'static [&'static str] = &[];

    fn put_fault(&mut self, fault: TextFault, requests: Option<u32>) {
        self.inject(fault, requests);
    }

    fn clear_faults(&mut self) {
        self.faults.clear();
        self.uart.held_back = None;
    }

    fn power_cycle(&mut self) {
        self.model.power_cycle();
    }

    fn describe(&self) -> String {
        self.model.describe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Echo;

    impl TextModel for Echo {
        const HELP: &'static str = "";
        const WORDS: &'static [Word<TextUnit<Self>>] = &[];

        fn answer(&mut self, request: &str) -> Option<String> {
            (request != "hush").then(|| format!("<{request}>"))
        }
        fn describe(&self) -> String {
            "an echo".to_owned()
        }
    }

    fn at(milliseconds: u64) -> Instant {
        Instant::from_boot(Duration::from_millis(milliseconds))
    }

    #[test]
    fn a_line_is_answered_after_the_latency() {
        let latency = Duration::from_millis(5);
        let mut unit = TextUnit::new(Echo, latency..=latency, Duration::ZERO);
        unit.receive(b"he", at(10));
        unit.receive(b"llo\nhush\n", at(11));
        assert_eq!(unit.poll_output(at(15)), b"");
        assert_eq!(unit.poll_timeout(), Some(at(16)));
        assert_eq!(unit.poll_output(at(16)), b"<hello>\n");
        assert_eq!(unit.heard(), ["hello", "hush"]);
    }

    #[test]
    fn faults_are_counted() {
        let mut unit = TextUnit::new(Echo, Duration::ZERO..=Duration::ZERO, Duration::ZERO);
        unit.inject(TextFault::Silent, Some(1));
        unit.receive(b"one\ntwo\n", at(1));
        assert_eq!(unit.poll_output(at(1)), b"<two>\n");
        unit.inject(TextFault::Deaf, None);
        unit.receive(b"three\n", at(2));
        assert_eq!((unit.poll_output(at(2)), unit.heard().len()), (Vec::new(), 2));
    }
}

use super::*;
use crate::line::{Lines, Terminator};
use bus::transcript::parse;

/// A lamp: `S?` is answered `S=0` or `S=1`, `OFF` is not answered.
struct Lamp;

#[derive(Clone, Debug, serde::Deserialize)]
enum Request {
    Read,
    Dim(u8),
    Off,
}

const LINES: Lines =
    Lines { end: Terminator::CR, max_reply_bytes: 8, limit: Duration::from_secs(1), gap: Duration::ZERO };

impl Protocol for Lamp {
    type Request = Request;
    type Reply = bool;

    fn exchange(&mut self, request: &Request) -> Exchange {
        match request {
            Request::Read => LINES.ask("S?"),
            Request::Dim(level) => LINES.ask(&format!("D{level}")),
            Request::Off => LINES.order("OFF"),
        }
    }

    fn decode(&self, _: &Request, _: &[u8], frame: &[u8]) -> Result<bool, Undecodable> {
        match LINES.text(frame)? {
            "S=1" => Ok(true),
            "S=0" => Ok(false),
            "E" => Err(Undecodable::Refused("it says E".to_owned())),
            other => Err(Undecodable::Bad(format!("expected S=0 or S=1, got {other}"))),
        }
    }
}

fn read(lines: &str) -> Vec<Item> {
    let text = format!("# obsbus transcript 1\n# kind: lamp\n{lines}\n");
    let mut reader = Reader::new(Lamp, true);
    parse(&text).unwrap()[0].records.iter().for_each(|record| reader.take(record));
    reader.finish()
}

/// Line, outcome and kind of problem of each exchange; of anything else no outcome.
fn outcomes(lines: &str) -> Vec<(usize, Option<Outcome>, Option<&'static str>)> {
    let outcome = |content: &Content| match content {
        Content::Exchange(seen) => Some(seen.outcome),
        Content::Stray(_) | Content::Note(_) => None,
    };
    let items = read(lines).into_iter();
    items.map(|item| (item.line, outcome(&item.content), item.problem.map(|problem| problem.kind))).collect()
}

#[test]
fn an_order_without_a_reply_does_not_end_a_query_that_waits() {
    let lines = "> S?\\r\n< S=\n> OFF\\r\n< 1\\r";
    let expected = [(3, Some(Outcome::Answered), None), (5, Some(Outcome::Written), None)];
    assert_eq!(outcomes(lines), expected);
}

#[test]
fn each_way_to_fail_has_its_kind() {
    for (lines, outcome, kind) in [
        ("> S?\\r\n> S?\\r", Outcome::Missing, "no_reply"),
        ("> S?\\r\n< S=\n> S?\\r", Outcome::Missing, "cut_off"),
        ("> S?\\r\n< 123456789\n> S?\\r", Outcome::Missing, "too_long"),
        ("> S?\\r\n< S=2\\r", Outcome::Bad, "bad_reply"),
        ("> D7\\r\n< E\\r", Outcome::Refused, "refused"),
        ("> D300\\r\n> S?\\r", Outcome::Unknown, "unknown_request"),
        ("1.0 > S?\\r\n2.1 < S=1\\r", Outcome::Answered, "late"),
    ] {
        assert_eq!(outcomes(lines)[0], (3, Some(outcome), Some(kind)), "{lines}");
    }
    assert_eq!(outcomes("< S=1\\r"), [(3, None, Some("unasked"))]);
    assert_eq!(outcomes("* cannot write: gone"), [(3, None, Some("port"))]);
}

#[test]
fn nobody_is_to_blame_for_a_request_at_the_end_or_before_the_port_was_closed() {
    assert_eq!(outcomes("> S?\\r"), [(3, Some(Outcome::Unfinished), None)]);
    let closed = [(3, Some(Outcome::Unfinished), None), (4, None, None)];
    assert_eq!(outcomes("> S?\\r\n* closed"), closed);
}

#[test]
fn flow_control_and_what_is_left_of_a_line_end_are_no_part_of_a_reply() {
    let lines = "1.0 > S?\\r\n1.01 < \\x13S=1\\x11\\r\n1.02 < \\n\n1.1 > S?\\r\n1.11 +0.03 < \\nS=0\\r";
    let items = read(lines);
    let times: Vec<_> = items
        .iter()
        .map(|item| match &item.content {
            Content::Exchange(seen) => (seen.first, seen.whole),
            other => panic!("{other:?}"),
        })
        .collect();
    let milliseconds = |number| Some(Duration::from_millis(number));
    // The second reply began after the line feed, nobody knows when.
    assert_eq!(times, [(milliseconds(10), milliseconds(10)), (None, milliseconds(40))]);
}
